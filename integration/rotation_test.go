// Rotated keys: an upstream refuses a key, and nobody notices.

package integration

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// rotating is a gateway whose upstream takes one key at a time.
type rotating struct {
	t      *testing.T
	vault  *vaulttest.Server
	proxy  *vaulttest.Proxy
	up     *harness.Upstream
	caddy  *harness.Caddy
	url    string
	site   string // Caddy's configuration
	takes  atomic.Pointer[string]
	status int // of a refusal
}

// newRotating starts the gateway with the key "key-1". Block lines are added
// to the directive.
func newRotating(t *testing.T, status int, block ...string) *rotating {
	return newRotatingTo(t, "", status, block...)
}

// newRotatingTo calls another upstream than its own.
func newRotatingTo(t *testing.T, upstream string, status int, block ...string) *rotating {
	r := &rotating{t: t, vault: vaulttest.Start(t), up: harness.NewUpstream(t, nil), status: status}
	if upstream == "" {
		upstream = r.up.URL()
	}
	r.proxy = r.vault.Proxy(t)
	r.put("key-1")
	r.accept("key-1")
	r.up.Answer(r.answer)
	port := harness.Port(t)
	r.url = fmt.Sprintf("http://127.0.0.1:%d/x", port)
	r.site = harness.Site(port, fmt.Sprintf(`	apikey_inject %s {
		name X-Api-Key
		key acme/prod
		allow anyone
		%s
	}`, upstream, strings.Join(block, "\n\t\t")))
	r.start()
	return r
}

func (r *rotating) start() {
	r.caddy = harness.StartCaddy(r.t, r.site, harness.Env("VAULT_ADDR="+r.proxy.Addr, "VAULT_TOKEN="+r.vault.Token))
}

func (r *rotating) put(key string) { r.vault.Put("acme/prod", map[string]any{"apiKey": key}) }

func (r *rotating) accept(key string) { r.takes.Store(&key) }

func (r *rotating) answer(q *harness.Request) harness.Answer {
	if got := q.Values("X-Api-Key"); len(got) != 1 || got[0] != *r.takes.Load() {
		return harness.Text(r.status, "refused", "X-Refused: yes")
	}
	return harness.Text(200, fmt.Sprintf("%s %d", q.Values("X-Api-Key")[0], q.BodyLen))
}

// reads returns how often the key was read of Vault.
func (r *rotating) reads() int { return r.proxy.Count("/v1/secret/data/acme/prod") }

func (r *rotating) call(method string, body io.Reader) (int, string) {
	r.t.Helper()
	req, err := http.NewRequest(method, r.url, body)
	if err != nil {
		r.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// want calls and checks status and answer.
func (r *rotating) want(method string, body io.Reader, status int, answer string) {
	r.t.Helper()
	if s, b := r.call(method, body); s != status || b != answer {
		r.t.Errorf("%s: %d %q, want %d %q", method, s, b, status, answer)
	}
}

// rotate puts a new key, and the upstream refuses the former at once.
func (r *rotating) rotate(key string) {
	r.put(key)
	r.accept(key)
}

func TestRefusedKeyIsReplacedUnseen(t *testing.T) {
	r := newRotating(t, 401)
	r.want("GET", nil, 200, "key-1 0")

	r.rotate("key-2")
	r.up.Forget()
	r.want("GET", nil, 200, "key-2 0")
	if hits := r.up.Hits(); hits != 2 {
		t.Errorf("%d hits, want the refused and the replayed request", hits)
	}
	r.want("GET", nil, 200, "key-2 0")
	if hits := r.up.Hits(); hits != 3 {
		t.Errorf("%d hits: the new key was not kept", hits)
	}

	r.rotate("key-3")
	r.up.Forget()
	body := bytes.Repeat([]byte("0123456789abcdef"), 4096) // 64 KiB, the default replay_buffer
	r.want("POST", bytes.NewReader(body), 200, "key-3 65536")
	if seen := r.up.Requests(); len(seen) != 2 || seen[0].BodySum != seen[1].BodySum {
		t.Errorf("the bodies differ: %v", seen)
	}

	r.rotate("key-4")
	r.up.Forget()
	r.want("POST", bytes.NewReader(append(body, 'x')), 401, "refused")
	if hits := r.up.Hits(); hits != 1 {
		t.Errorf("%d hits: a body larger than replay_buffer was replayed", hits)
	}
	r.want("POST", strings.NewReader("next"), 200, "key-4 4")
}

// TestG11 has an upstream that refuses 200 clients at once: one read of Vault.
func TestG11RefusalsAtOnceAreOneRead(t *testing.T) {
	r := newRotating(t, 401)
	r.want("GET", nil, 200, "key-1 0")
	r.accept("another")
	before := r.reads()
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() { r.want("GET", nil, 401, "refused") })
	}
	wg.Wait()
	if n := r.reads() - before; n != 1 {
		t.Errorf("%d reads of Vault, want 1", n)
	}
	r.caddy.Log.Wait(t, "the upstream refuses the newest key", 5*time.Second)
	if n := strings.Count(r.caddy.Log.String(), "the upstream refuses the newest key"); n != 1 {
		t.Errorf("logged %d times, want once", n)
	}
	r.accept("key-1")
	r.want("GET", nil, 200, "key-1 0")
	r.caddy.Log.Wait(t, "the upstream takes the key again", 5*time.Second)
}

// TestG12 streams a POST: it is relayed, not replayed, and the next request has
// the fresh key.
func TestG12StreamedBodyIsRelayed(t *testing.T) {
	r := newRotating(t, 401)
	r.want("GET", nil, 200, "key-1 0")
	r.rotate("key-2")
	r.up.Forget()
	r.want("POST", struct{ io.Reader }{strings.NewReader("streamed")}, 401, "refused") // of unknown length: chunked
	r.want("GET", nil, 200, "key-2 0")
	if hits := r.up.Hits(); hits != 2 {
		t.Errorf("%d hits, want one for each request", hits)
	}
}

func TestRefusedStatuses(t *testing.T) {
	t.Run("other statuses can refuse", func(t *testing.T) {
		r := newRotating(t, 403, "refused_statuses 401 403")
		r.want("GET", nil, 200, "key-1 0")
		r.rotate("key-2")
		r.want("GET", nil, 200, "key-2 0")
	})
	t.Run("403 does not by default", func(t *testing.T) {
		r := newRotating(t, 403)
		r.want("GET", nil, 200, "key-1 0")
		r.rotate("key-2")
		r.want("GET", nil, 403, "refused")
	})
	t.Run("off", func(t *testing.T) {
		r := newRotating(t, 401, "refused_statuses off")
		r.want("GET", nil, 200, "key-1 0")
		r.rotate("key-2")
		before := r.reads()
		r.want("GET", nil, 401, "refused")
		if n := r.reads() - before; n != 0 {
			t.Errorf("%d reads of Vault", n)
		}
	})
	t.Run("no replay buffer", func(t *testing.T) {
		r := newRotating(t, 401, "replay_buffer 0")
		r.want("GET", nil, 200, "key-1 0")
		r.rotate("key-2")
		r.want("POST", strings.NewReader("body"), 401, "refused")
		r.want("POST", strings.NewReader("body"), 200, "key-2 4")
	})
}

// newBridged has the new key held before the upstream takes it, which is served with
// the former one.
func newBridged(t *testing.T) *rotating {
	t.Helper()
	r := newRotating(t, 401)
	r.want("GET", nil, 200, "key-1 0")
	r.put("key-2") // the upstream does not know it yet
	r.accept("neither")
	r.want("GET", nil, 401, "refused") // key-2 is held from here on
	r.accept("key-1")
	r.want("GET", nil, 200, "key-1 0")
	return r
}

// TestFormerKeyDuringRotation has the new key in Vault before the upstream takes
// it: the former version bridges the gap.
func TestFormerKeyDuringRotation(t *testing.T) {
	r := newBridged(t)
	r.want("POST", strings.NewReader("body"), 200, "key-1 4")
	r.accept("key-2")
	r.up.Forget()
	r.want("GET", nil, 200, "key-2 0")
	if hits := r.up.Hits(); hits != 1 {
		t.Errorf("%d hits: the newest key is tried first", hits)
	}
}

// TestTheUpstreamTurnsToTheNewKeyBetweenTwoTries: the newest key came too early
// for it, and the former one too late.
func TestTheUpstreamTurnsToTheNewKeyBetweenTwoTries(t *testing.T) {
	r := newBridged(t)
	r.up.Answer(func(q *harness.Request) harness.Answer {
		if slices.Contains(q.Values("X-Api-Key"), "key-1") {
			r.accept("key-2")
		}
		return r.answer(q)
	})
	r.up.Forget()
	r.want("POST", strings.NewReader("body"), 200, "key-2 4")
	if hits := r.up.Hits(); hits != 3 {
		t.Errorf("%d hits, want the newest key, the former, and the newest once more", hits)
	}
}

// TestAFormerKeyThatHelpsNobody makes nobody try the newest again.
func TestAFormerKeyThatHelpsNobody(t *testing.T) {
	r := newRotating(t, 401)
	r.want("GET", nil, 200, "key-1 0")
	r.put("key-2")
	r.accept("neither")
	for range 2 {
		r.up.Forget()
		r.want("GET", nil, 401, "refused")
		if hits := r.up.Hits(); hits != 2 {
			t.Errorf("%d hits, want one for each key", hits)
		}
	}
}

// TestFormerKeyAfterARestart has a Caddy that never held the version which the
// upstream still takes: it is read when the newest is refused, and only then.
func TestFormerKeyAfterARestart(t *testing.T) {
	r := newRotating(t, 401)
	r.want("GET", nil, 200, "key-1 0")
	r.put("key-2") // the upstream does not know it yet
	r.caddy.Stop()
	r.start()
	r.accept("key-2")
	before := r.reads()
	r.want("GET", nil, 200, "key-2 0")
	r.accept("key-1")
	if n := r.reads() - before; n > 1 {
		t.Errorf("%d reads of Vault before anything was refused", n)
	}
	before = r.reads()
	for range 3 {
		r.want("GET", nil, 200, "key-1 0")
		r.want("POST", strings.NewReader("body"), 200, "key-1 4")
	}
	if n := r.reads() - before; n != 2 {
		t.Errorf("%d reads of Vault, want one of the newest version and one of that before", n)
	}
	r.accept("key-2")
	r.up.Forget()
	r.want("GET", nil, 200, "key-2 0")
	if hits := r.up.Hits(); hits != 1 {
		t.Errorf("%d hits: the newest key is tried first", hits)
	}
}

// TestInterimAnswersOfARefusedAttempt are relayed once.
func TestInterimAnswersOfARefusedAttempt(t *testing.T) {
	r := newRotating(t, 401)
	r.want("GET", nil, 200, "key-1 0")
	r.rotate("key-2")
	r.up.Answer(func(q *harness.Request) harness.Answer {
		return harness.Interim(103, []string{"Link: </style.css>; rel=preload"}, r.answer(q))
	})
	interim := 0
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(int, textproto.MIMEHeader) error { interim++; return nil },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if interim != 1 || res.StatusCode != http.StatusOK {
		t.Errorf("%d interim answers, status %d", interim, res.StatusCode)
	}
}

// TestKeyReplacedWhileARequestIsOnItsWay rotates the key each time a request
// reaches the upstream with the newest.
func TestKeyReplacedWhileARequestIsOnItsWay(t *testing.T) {
	r := newRotating(t, 401)
	r.want("GET", nil, 200, "key-1 0")
	last := 2
	overtaken := func(until int) {
		r.up.Answer(func(q *harness.Request) harness.Answer {
			if newest := fmt.Sprintf("key-%d", last); last < until && slices.Contains(q.Values("X-Api-Key"), newest) {
				last++
				r.rotate(fmt.Sprintf("key-%d", last))
			}
			return r.answer(q)
		})
		r.up.Forget()
	}

	r.rotate("key-2")
	overtaken(3)
	r.want("GET", nil, 200, "key-3 0")
	if hits := r.up.Hits(); hits != 3 {
		t.Errorf("%d hits, want one for each key", hits)
	}

	overtaken(10)
	r.want("GET", nil, 401, "refused")
	if hits := r.up.Hits(); hits != 3 {
		t.Errorf("%d hits: a request is sent again twice at most", hits)
	}
}

// TestRotationsUnderLoad rotates 100 times, 300 ms apart, with the old key
// refused at once. No request fails, and each carries one key whole.
func TestRotationsUnderLoad(t *testing.T) {
	const rotations = 100
	r := newRotating(t, 401)
	r.up.CountOnly()
	r.want("GET", nil, 200, "key-1 0")
	load := harness.Load{URL: r.url, Check: func(reply *harness.Reply) error {
		if reply.Status != 200 || !strings.HasPrefix(reply.Body, "key-") {
			return fmt.Errorf("status %d: %s", reply.Status, reply.Body)
		}
		return nil
	}}.Start(t)
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for n := 2; n <= rotations+1; n++ {
		r.rotate(fmt.Sprintf("key-%d", n))
		// A request that starts now, after the upstream refuses the old key,
		// gets the new one.
		r.want("GET", nil, 200, fmt.Sprintf("key-%d 0", n))
		<-tick.C
	}
	rep := load.Stop()
	t.Log(rep)
	if rep.Failed() != 0 {
		t.Errorf("%d failed requests", rep.Failed())
	}
}
