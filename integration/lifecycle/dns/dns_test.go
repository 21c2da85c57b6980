// Package dns tests that a key outlives a failure of DNS. It is a package of its
// own because its test program is also the Caddy it tests: see package names.
package dns

import (
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/integration/names"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

func TestMain(m *testing.M) { names.Main(m) }

// zone knows every name as 127.0.0.1, or none.
type zone struct {
	broken atomic.Bool
	asked  atomic.Int32
}

func (z *zone) answer(string, dnsmessage.Type) (ip netip.Addr, code dnsmessage.RCode) {
	z.asked.Add(1)
	if z.broken.Load() {
		return ip, dnsmessage.RCodeServerFailure
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1}), dnsmessage.RCodeSuccess
}

func TestG2AFailureOfDNSFailsNoRequest(t *testing.T) {
	last := 8 * time.Second
	if s := os.Getenv("LIFECYCLE_FAULT"); s != "" {
		var err error
		if last, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	v := vaulttest.Start(t)
	put := func(value string) {
		for i := range 6 {
			v.Put(fmt.Sprintf("key/%d", i), map[string]any{"apiKey": value})
		}
	}
	put("key-v1")
	p, dns := v.Proxy(t), new(zone)
	up := harness.NewUpstream(t, nil)
	up.CountOnly()
	up.Answer(func(r *harness.Request) harness.Answer {
		return harness.Text(http.StatusOK, strings.Join(r.Values("X-Api-Key"), ","))
	})
	port := harness.Port(t)
	var site strings.Builder
	for i := range 6 { // several, so that the breaker opens soon
		fmt.Fprintf(&site, "\tapikey_inject /%d %s {\n\t\tname X-Api-Key\n\t\tkey key/%d\n\t\tallow anyone\n\t}\n", i, up.URL(), i)
	}
	address := strings.Replace(p.Addr, "127.0.0.1", "vault.internal.example", 1)
	c := harness.StartCaddy(t, fmt.Sprintf("{\n\tapikey_inject {\n\t\tstore vault {\n\t\t\taddress %s\n\t\t\tttl 1s\n\t\t\tauth token {env.VT}\n\t\t}\n\t}\n}\n%s",
		address, harness.Site(port, site.String())), harness.Env("VT="+v.Token, names.Start(t, dns.answer).Env()))
	url := fmt.Sprintf("http://127.0.0.1:%d/0", port)
	until(t, url, "key-v1", 20*time.Second)
	goroutines := c.Goroutines()

	accept := new(atomic.Value)
	accept.Store("key-v1")
	client := harness.HTTP1Client(t, nil)
	l := harness.Load{URL: url, Client: client, Check: func(r *harness.Reply) error {
		if r.Status != http.StatusOK || !strings.Contains(accept.Load().(string), r.Body) {
			return fmt.Errorf("status %d: %.100q", r.Status, r.Body)
		}
		return nil
	}}.Start(t)
	dns.broken.Store(true)
	p.Cut() // what is connected asks for no name
	asked := dns.asked.Load()
	<-time.After(last)
	if dns.asked.Load() == asked {
		t.Error("the name server was not asked")
	}
	if !strings.Contains(c.Log.String(), "the store is away") {
		t.Error("the fault did not show in the log")
	}
	accept.Store("key-v1 key-v2")
	dns.broken.Store(false)
	put("key-v2")
	until(t, url, "key-v2", 10*time.Second)
	rep := l.Stop()
	if rep.Failed() > 0 {
		t.Errorf("%s", rep)
	}
	t.Logf("%d requests (%.0f/s), %d failed", rep.Sent, float64(rep.Sent)/rep.Duration.Seconds(), rep.Failed())
	client.CloseIdleConnections()
	up.CutConnections()
	end := time.Now().Add(20 * time.Second)
	for c.Goroutines() > goroutines+8 {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, it were %d", c.Goroutines(), goroutines)
		}
		<-time.After(100 * time.Millisecond)
	}
}

// until asks until the upstream received the key.
func until(t *testing.T, url, key string, limit time.Duration) {
	t.Helper()
	for end := time.Now().Add(limit); ; <-time.After(50 * time.Millisecond) {
		a := harness.Exchange(t, strings.Split(url, "/")[2], nil, "GET /0 HTTP/1.1\r\nHost: "+strings.Split(url, "/")[2]+"\r\nConnection: close\r\n\r\n")
		if string(a.Body) == key {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("answered %q after %s, want key %s", a.Raw, limit, key)
		}
	}
}
