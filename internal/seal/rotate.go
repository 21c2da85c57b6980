package seal

import (
	"context"
	"errors"
	"fmt"
)

// Rotation says what a rotation of the keyset is to do.
type Rotation struct {
	// Out is a file for the new keyset, which must not be there yet. Required
	// where the keyset came in as text, which is not ours to change, or where
	// several nodes share the database, each with its own copy of the keyset.
	Out string

	// Shared says that several nodes may share the database.
	Shared bool

	// DropOld takes the old keys out of the keyset, once nothing is sealed with
	// them any more.
	DropOld bool
}

// Rotated says what a rotation did.
type Rotated struct {
	// Keys is how many keys the keyset has now, or the one in Out.
	Keys int `json:"keys"`

	// Resealed is how many documents were sealed anew.
	Resealed int `json:"resealed"`

	// Made says that a new primary key was made. Without it a rotation that was
	// begun before was finished.
	Made bool `json:"made"`

	// Staged says that the new key is in the keyset and does not seal yet: all
	// nodes have to know it first.
	Staged bool `json:"staged"`

	// Promoted says that the staged key is the primary one now.
	Promoted bool `json:"promoted"`

	// Dropped is how many old keys were taken out.
	Dropped int `json:"dropped"`

	// Out is the file with the new keyset, Keyset the one that was replaced.
	Out    string `json:"out,omitempty"`
	Keyset string `json:"keyset,omitempty"`
}

// The refusals of a rotation.
var (
	// ErrNeedsOut says that the keyset cannot be replaced in place.
	ErrNeedsOut = errors.New("the new keyset needs a file of its own")

	// ErrStillOld says that rows are sealed with a key other than the primary
	// one.
	ErrStillOld = errors.New("keys are still sealed with an old key")
)

// Rotate gives the keyset a new primary key and seals every row anew with it.
//
// It may be cut off anywhere: the new keyset is on the disk before any row is
// sealed with it, opens all that the former one does, and loses its old keys
// only when no row needs them. A rotation that was cut off is finished by the
// next one, which then makes no further key.
func (s *Store) Rotate(ctx context.Context, r Rotation) (*Rotated, error) {
	done, err := s.rotate(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("rotating the keyset: %w", err)
	}
	return done, nil
}

func (s *Store) rotate(ctx context.Context, r Rotation) (*Rotated, error) {
	o, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	select { // one at a time
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if r.Out != "" {
		return s.rotateInto(ctx, o, r)
	}
	old, err := o.countOld(ctx)
	if err != nil {
		return nil, err
	}
	done := new(Rotated)
	// With old keys in it, none of them in use, there is something to drop.
	finished := old == 0 && (!r.DropOld || o.keys().Keys() == 1)
	src := o.source.Load()
	inPlace := src.Text.IsZero() && !r.Shared
	switch {
	case !inPlace && (r.DropOld || finished):
		return nil, ErrNeedsOut
	case finished:
		if s.alone() {
			if err := removeTemps(src.Path); err != nil {
				return nil, err
			}
		}
		next, err := o.keys().renewed()
		if err != nil {
			return nil, err
		}
		if err := s.replace(o, next); err != nil {
			return nil, err
		}
		done.Made = true
	}
	if done.Resealed, err = o.resealAll(ctx); err != nil {
		return nil, err
	}
	if r.DropOld {
		if done.Dropped, err = s.dropOld(ctx, o); err != nil {
			return nil, err
		}
	}
	done.Keys = o.keys().Keys()
	if inPlace {
		done.Keyset = src.Path
	}
	return done, nil
}

// replace puts a keyset into the place of the one that is used, on the disk and
// then here. Writes that are under way end first: none is sealed with the former
// keyset afterwards.
func (s *Store) replace(o *opened, next *Keyset) error {
	if err := Replace(o.source.Load().Path, next); err != nil {
		return err
	}
	s.adopt(o, next)
	return nil
}

func (s *Store) adopt(o *opened, next *Keyset) {
	s.sealing.Lock()
	defer s.sealing.Unlock()
	o.keyset.Store(next)
}

// dropOld takes the old keys out of the keyset.
func (s *Store) dropOld(ctx context.Context, o *opened) (int, error) {
	if err := o.needsNoOld(ctx); err != nil {
		return 0, err
	}
	before := o.keys().Keys()
	next, err := o.keys().alone()
	if err != nil || next.Keys() == before {
		return 0, err
	}
	return before - next.Keys(), s.replace(o, next)
}

// rotateInto writes the next keyset of a rotation to a file, and changes
// nothing else: the operator puts it in place.
func (s *Store) rotateInto(ctx context.Context, o *opened, r Rotation) (*Rotated, error) {
	now := o.keys()
	staged, err := now.staged()
	if err != nil {
		return nil, err
	}
	done := &Rotated{Out: r.Out}
	var next *Keyset
	switch {
	case r.DropOld && staged:
		return nil, errors.New("the newest key is not the primary one yet: promote it first, without dropping keys")
	case r.DropOld:
		if err := o.needsNoOld(ctx); err != nil {
			return nil, err
		}
		next, err = now.alone()
		if err == nil {
			done.Dropped = now.Keys() - next.Keys()
		}
	case staged:
		next, err = now.promote()
		done.Promoted = true
	case r.Shared:
		next, err = now.stage()
		done.Made, done.Staged = true, true
	default:
		next, err = now.renewed()
		done.Made = true
	}
	if err != nil {
		return nil, err
	}
	done.Keys = next.Keys()
	return done, Create(r.Out, next)
}

// Use takes over the keyset of a source, where that is another one than is used:
// a rotated one that an operator has put in place. It has to open what is there.
func (s *Store) Use(ctx context.Context, src Source) error {
	o, err := s.open(ctx)
	if err != nil {
		return err
	}
	next, err := Load(src)
	if err != nil {
		return unavailable("opening the local store", err)
	}
	if same, err := next.equal(o.keys()); err != nil || same {
		o.source.Store(&src)
		return err
	}
	if ok, err := o.fits(ctx, next); !ok {
		return unavailable("opening the local store", fmt.Errorf("checking the keyset %s: %w", src, errors.Join(errNotItsKeyset, err)))
	}
	s.adopt(o, next)
	o.source.Store(&src)
	return nil
}
