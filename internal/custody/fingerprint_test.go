package custody_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

func TestAFingerprintTellsKeysApart(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		of := func(key string) string {
			return mustEnter(t, s.custody(), "cust-1", key).Fingerprint
		}
		one, two := of("one"), of("two")
		if one == two || one != of("one") {
			t.Errorf("of one it is %s and %s, of two %s", one, of("one"), two)
		}
		if !regexp.MustCompile("^[0-9a-f]{32}$").MatchString(one) {
			t.Errorf("it is %q", one)
		}
		key, err := s.db.FingerprintKey(t.Context())
		must(t, err)
		mac := hmac.New(sha256.New, []byte(key.Reveal()))
		mac.Write([]byte("one"))
		if sum := hex.EncodeToString(mac.Sum(nil)); sum[:32] != one {
			t.Errorf("it is %s, want the beginning of %s", one, sum)
		}
		if plain := sha256.Sum256([]byte("one")); strings.HasPrefix(hex.EncodeToString(plain[:]), one[:8]) {
			t.Error("it is a plain hash")
		}
	})
}

func TestTwoCatalogsMakeTwoFingerprintsOfAKey(t *testing.T) {
	one := mustEnter(t, sealed(t).custody(), "cust-1", "k")
	two := mustEnter(t, sealed(t).custody(), "cust-1", "k")
	if one.Fingerprint == two.Fingerprint {
		t.Errorf("both are %s", one.Fingerprint)
	}
}

const canary = "canary-key-4711"

func TestNoErrorAndNoStructureShowsAKey(t *testing.T) {
	s := sealed(t)
	conn := mustEnter(t, s.custody(), "cust-1", "old")
	hash, err := s.db.FingerprintKey(t.Context())
	must(t, err)
	check := func(what, text string) {
		t.Helper()
		for _, hidden := range []string{canary, hex.EncodeToString([]byte(canary)), hash.Reveal(), hex.EncodeToString([]byte(hash.Reveal())), fmt.Sprintf("%d", []byte(hash.Reveal()))} {
			if strings.Contains(text, hidden) {
				t.Errorf("%s shows a key: %s", what, text)
			}
		}
	}
	stale := *conn
	stale.Revision = 9
	for what, c := range map[string]struct {
		keys *scripted
		conn *catalog.Connection
		key  string
	}{
		"lost":         {&scripted{puts: []put{lostBefore, lostBefore}}, aConnection("lost"), canary},
		"lost for all": {&scripted{puts: []put{lostBefore}, versions: []error{nil, errAway}}, aConnection("all"), canary},
		"denied":       {&scripted{puts: []put{answers(store.ErrDenied)}}, aConnection("denied"), canary},
		"conflicting":  {&scripted{puts: []put{answers(store.ErrConflict), answers(store.ErrConflict)}}, aConnection("conflicting"), canary},
		"stale":        {&scripted{}, &stale, canary},
		"no key":       {&scripted{}, aConnection("none"), canary + "\n" + canary},
		"too long":     {&scripted{}, aConnection("none"), strings.Repeat(canary, 1000)},
		"misplaced":    {&scripted{}, aConnection("../x"), canary},
	} {
		c.keys.keyStore = s.keys
		err := s.custodyOf(s.db, c.keys).Enter(t.Context(), c.conn, secret.New(c.key))
		if err == nil {
			t.Fatalf("%s: no error", what)
		}
		check(what, fmt.Sprintf("%v %+v %#v", err, err, err))
	}
	c := s.custody()
	mustEnter(t, c, "cust-2", canary)
	check("the custody", fmt.Sprintf("%v %+v", c, c)+fmt.Sprintf("%+v %#v", struct{ C any }{c}, struct{ C any }{c}))
	check("what was entered", fmt.Sprintf("%+v %#v", s.held("cust-2").row, s.held("cust-2").row))
	check("what was learned", fmt.Sprintf("%+v %#v", s.learned["cust-2"], s.learned["cust-2"]))
	pending, err := s.db.PendingKeys(t.Context(), 0)
	must(t, err)
	if len(pending) != 2 {
		t.Errorf("%d are pending", len(pending))
	}
	for _, p := range pending {
		check("what is pending", fmt.Sprintf("%+v %+v", p, p.Row))
	}
}
