package apikeyinject

// This file holds tests of the rings that outlive configurations.

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestARingLingersForTheConfigurationThatComesBack(t *testing.T) {
	label := ownLabel(t)
	synctest.Test(t, func(t *testing.T) {
		m := memoryOf(label)
		mod := &memoryModule{Label: label}
		first, err := acquireRing(mod)
		if err != nil {
			t.Fatal(err)
		}
		second, err := acquireRing(mod)
		if err != nil || second != first {
			t.Fatalf("got another ring for the same store, %v", err)
		}
		first.release()
		time.Sleep(2 * linger)
		if m.closed.Load() != 0 {
			t.Fatal("a ring that is in use was closed")
		}

		first.release()
		time.Sleep(linger - time.Second)
		again, err := acquireRing(mod)
		if err != nil || again != first {
			t.Fatalf("the ring did not linger, %v", err)
		}
		time.Sleep(2 * linger)
		if m.closed.Load() != 0 {
			t.Fatal("a ring that was taken up again was closed")
		}

		again.release()
		time.Sleep(linger + time.Second)
		synctest.Wait()
		if m.closed.Load() != 1 {
			t.Errorf("the store was closed %d times, want once", m.closed.Load())
		}
		fresh, err := acquireRing(mod)
		if err != nil || fresh == first {
			t.Errorf("got the ring that was closed, %v", err)
		}
		fresh.release()
		time.Sleep(linger + time.Second)
		synctest.Wait()
	})
}

// A timer that has fired cannot be stopped: see the same of catalogs.
func TestALingerThatWasEndedClosesNoRing(t *testing.T) {
	label := ownLabel(t)
	mod := &memoryModule{Label: label}
	r, err := acquireRing(mod)
	if err != nil {
		t.Fatal(err)
	}
	r.release()
	ended := r.lingers
	if again, err := acquireRing(mod); again != r {
		t.Fatalf("it did not linger, %v", err)
	}
	r.release()
	r.expire(ended)
	again, err := acquireRing(mod)
	if again != r || memoryOf(label).closed.Load() != 0 {
		t.Errorf("it was closed as soon as it was let go of, %v", err)
	}
	again.release()
}

func TestStoresThatShowOtherSecretsShareNoRing(t *testing.T) {
	one, err := acquireRing(&memoryModule{Label: ownLabel(t) + "/1"})
	if err != nil {
		t.Fatal(err)
	}
	two, err := acquireRing(&memoryModule{Label: ownLabel(t) + "/2"})
	if err != nil {
		t.Fatal(err)
	}
	if one == two {
		t.Error("two stores share a ring")
	}
	one.release()
	two.release()
}
