package store

import (
	"errors"
	"fmt"
	"time"
)

// The classes of a store's failures. A store wraps one of them, with a text
// that names the address and never a value.
var (
	// ErrNotFound is authoritative: the store answered that there is no such
	// document, or that its newest version is deleted or destroyed.
	ErrNotFound = errors.New("no such document")

	// ErrDenied is authoritative: the store's policy forbids this address to a
	// token that is otherwise valid.
	ErrDenied = errors.New("denied by the store's policy")

	// ErrMisconfigured says that the address cannot exist as it is written:
	// no such mount, or not an engine we can read.
	ErrMisconfigured = errors.New("no such mount or engine")

	// ErrUnavailable says nothing about the document: the store could not be
	// reached, is sealed, answered nonsense, or refused our credentials.
	ErrUnavailable = errors.New("store unavailable")

	// ErrRefused is an [ErrUnavailable] of a store that does not accept our
	// credentials: no waiting mends that.
	ErrRefused = errors.New("the store refuses our credentials")

	// ErrOversized is an [ErrUnavailable] of one document: it is there and
	// larger than a store reads. Asking soon again would only cost both sides
	// the transfer.
	ErrOversized = errors.New("the document is too large")

	// ErrConflict says that a check-and-set found another version.
	ErrConflict = errors.New("the document was changed meanwhile")
)

// ThrottledError is an [ErrUnavailable] of a store that asked to be left alone.
type ThrottledError struct {
	// After is how long to pause every call to this store.
	After time.Duration
}

func (e *ThrottledError) Error() string {
	return fmt.Sprintf("store asks to wait %s", e.After)
}

// Is makes a ThrottledError an [ErrUnavailable].
func (*ThrottledError) Is(target error) bool { return target == ErrUnavailable }

// InvalidError says that a document is there and holds no usable key.
type InvalidError struct {
	// Field that was looked for. Empty: the default field.
	Field string

	// Reason, without any of the value: "is a number, must be a string".
	Reason string
}

func (e *InvalidError) Error() string {
	if e.Field == "" {
		return e.Reason
	}
	return fmt.Sprintf("field %q %s", e.Field, e.Reason)
}
