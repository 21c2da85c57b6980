package harness

import (
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func subjectOf(name string) pkix.Name { return pkix.Name{CommonName: name} }

func TestLoadOverReloadsLosesNothing(t *testing.T) {
	u := NewUpstream(t, nil)
	u.CountOnly()
	ca := NewCA(t)
	cert := ca.Server()
	plain, secure := Port(t), Port(t)
	config := func(i int) string {
		return "{\n\tauto_https disable_redirects\n\tskip_install_trust\n}\n" +
			Site(plain, fmt.Sprintf("\theader X-Config %d\n\treverse_proxy %s", i, u.Addr())) +
			fmt.Sprintf("https://localhost:%d {\n\tbind 127.0.0.1\n\ttls %s %s\n\treverse_proxy %s\n}\n", secure, cert.CertFile, cert.KeyFile, u.Addr())
	}
	c := StartCaddy(t, config(0))

	var loaded atomic.Pointer[time.Time]
	start := time.Now()
	loaded.Store(&start)
	gets := Load{URL: fmt.Sprintf("http://127.0.0.1:%d/", plain), Check: func(r *Reply) error {
		if r.Status != http.StatusOK || r.Body != "ok" {
			return fmt.Errorf("status %d", r.Status)
		}
		if at := loaded.Load(); r.Started.After(*at) && r.Header.Get("X-Config") == "" {
			return errors.New("no X-Config")
		}
		return nil
	}}.Start(t)
	posts := Load{URL: fmt.Sprintf("https://localhost:%d/", secure), Method: http.MethodPost, Body: "{}", Client: HTTP2Client(t, ca.ClientTLS())}.Start(t)
	for i := range 5 {
		if err := c.Load(config(i + 1)); err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		loaded.Store(&now)
		u.WaitHits(u.Hits()+80, 20*time.Second)
	}
	for name, run := range map[string]*Running{"GET over HTTP/1.1": gets, "POST over HTTP/2": posts} {
		rep := run.Stop()
		if rep.Failed() != 0 || rep.Sent < 100 {
			t.Errorf("%s: %s", name, rep)
		}
	}
}

func TestLoadCountsWhatFails(t *testing.T) {
	u := NewUpstream(t, nil)
	u.Answer(func(r *Request) Answer {
		switch r.N % 4 {
		case 1:
			return Text(503, "away")
		case 2:
			return Text(200, "ok", "Apikey-Inject-Error: key_unavailable")
		case 3:
			return Truncated(200, "ok", 1)
		}
		return Text(200, "ok")
	})
	run := Load{URL: u.URL(), Conns: 1, Rate: 100}.Start(t)
	u.WaitHits(16, 20*time.Second)
	rep := run.Stop()
	want := func(rest ...int) (n int) {
		for i := 1; i <= rep.Sent; i++ {
			for _, m := range rest {
				if i%4 == m {
					n++
				}
			}
		}
		return n
	}
	if rep.Sent < 16 || rep.Wrong != want(1, 2) || rep.Broken != want(3) {
		t.Errorf("want %d wrong, %d broken; got %s", want(1, 2), want(3), rep)
	}
	if !strings.Contains(rep.String(), "key_unavailable") {
		t.Errorf("the report does not say what failed: %s", rep)
	}
}

func TestLoadKeepsItsRate(t *testing.T) {
	u := NewUpstream(t, nil)
	run := Load{URL: u.URL(), Conns: 4, Rate: 100}.Start(t)
	u.WaitHits(100, 20*time.Second)
	took := run.Report().Duration
	run.Stop()
	if took < 900*time.Millisecond {
		t.Errorf("100 requests in %s at 100/s", took)
	}
	if u.Connections() > 4 {
		t.Errorf("%d connections, want at most 4", u.Connections())
	}
}

func TestLoadRepairsOnlyWhatAClientMay(t *testing.T) {
	for _, c := range []struct {
		method          string
		retried, broken bool
	}{
		{http.MethodGet, true, false},
		{http.MethodPost, false, true},
	} {
		t.Run(c.method, func(t *testing.T) {
			u := NewUpstream(t, nil)
			u.Answer(func(r *Request) Answer {
				if r.N == 1 { // a new connection: net/http does not repair it
					return Close()
				}
				return Text(200, "ok")
			})
			run := Load{URL: u.URL(), Method: c.method, Conns: 1, Rate: 100}.Start(t)
			u.WaitHits(3, 20*time.Second)
			rep := run.Stop()
			if (rep.Retried == 1) != c.retried || (rep.Broken == 1) != c.broken || rep.Wrong != 0 {
				t.Errorf("got %s", rep)
			}
		})
	}
}
