// A12: the placements of real APIs, all of them, made through the API and called
// through the gateway.

package gateway

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// provider is a row of the list of real APIs.
type provider struct{ name, placement, keyName, template, baseURL string }

func providers(t *testing.T) []provider {
	t.Helper()
	f, err := os.Open("../testdata/providers-placement.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	out := make([]provider, 0, len(rows))
	for i, row := range rows[1:] {
		name := fmt.Sprintf("%s-%d", row[0], i+2) // by line: one name stands twice
		out = append(out, provider{name, row[1], row[2], row[3], row[4]})
	}
	if len(out) != 319 {
		t.Fatalf("%d rows, want 319", len(out))
	}
	return out
}

// create makes the row's integration with that base URL.
func (p provider) create(r *rig, baseURL string) *reply {
	body, err := json.Marshal(map[string]any{
		"provider": "private-api-generic", "unique_key": p.name,
		"integration_config": map[string]string{"baseUrl": baseURL, "keyPlacement": p.placement, "keyName": p.keyName, "valueTemplate": p.template},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return r.api(http.StatusOK, http.MethodPost, "/integrations", string(body))
}

// enter makes a connection of the row with that connection_config.
func (p provider) enter(r *rig, id, key string, config map[string]string) {
	body, err := json.Marshal(map[string]any{
		"provider_config_key": p.name, "connection_id": id, "connection_config": config,
		"credentials": map[string]string{"type": "API_KEY", "apiKey": key},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.api(http.StatusCreated, http.MethodPost, "/connections", string(body))
}

var field = regexp.MustCompile(`\$\{connectionConfig\.(\w+)\}`)

// led is a base URL of the list whose host was made to lead to an upstream at
// 127.0.0.1, with what a connection says for it and the path it then has.
type led struct {
	baseURL string
	config  map[string]string
	path    string
}

// leadTo keeps the structure of a base URL: a label stays a label, literal or
// from the connection, and a whole host, a port, a segment or a whole beginning
// stay that. Only the literals and the values become those of 127.0.0.1, and
// the upstream's port is added where no field holds it.
func leadTo(u *harness.Upstream, baseURL string) led {
	host, port, _ := strings.Cut(u.Addr(), ":")
	l := led{config: map[string]string{}}
	var rest string
	whole := field.FindStringSubmatch(baseURL)
	if whole != nil && strings.HasPrefix(baseURL, whole[0]) {
		rest = strings.TrimPrefix(baseURL, whole[0])
		l.baseURL, l.config[whole[1]], l.path = whole[0], u.URL()+"/deep", "/deep"
	} else {
		authority, path, slash := strings.Cut(strings.TrimPrefix(baseURL, "https://"), "/")
		if slash {
			rest = "/" + path
		}
		l.baseURL = "https://" + l.authority(authority, host, port)
	}
	l.baseURL += rest
	l.path += field.ReplaceAllStringFunc(rest, func(f string) string {
		l.config[field.FindStringSubmatch(f)[1]] = "a b%é"
		return url.PathEscape("a b%é")
	})
	l.path = strings.TrimRight(l.path, "/")
	return l
}

// authority shares the four numbers of an address out to the labels of a host.
func (l *led) authority(authority, host, port string) string {
	name, ownPort, hasPort := strings.Cut(authority, ":")
	numbers := strings.Split(host, ".")
	f := field.FindStringSubmatchIndex(name)
	addPort := ":" + port
	if hasPort {
		addPort, l.config[field.FindStringSubmatch(ownPort)[1]] = ":"+ownPort, port
	}
	switch {
	case f == nil:
		return host + addPort
	case f[0] == 0 && f[1] == len(name): // a whole host, and a port of its own
		l.config[name[f[2]:f[3]]] = host + ":" + port
		return name
	case f[0] == 0: // a label at the beginning
		l.config[name[f[2]:f[3]]] = numbers[0]
		return name[:f[1]] + "." + strings.Join(numbers[1:], ".") + addPort
	default: // the end of a host, behind as many labels as there were
		n := strings.Count(name[:f[0]], ".")
		l.config[name[f[2]:f[3]]] = strings.Join(numbers[n:], ".")
		return strings.Join(numbers[:n], ".") + "." + name[f[0]:] + addPort
	}
}

func TestA12PlacementsOfRealAPIsThroughTheGateway(t *testing.T) {
	ca := harness.NewCA(t)
	r := newRig(t, settings{local: true, tls: ca.ServerTLS(), env: []string{"SSL_CERT_FILE=" + ca.File}})
	perConnection := 0
	for _, p := range providers(t) {
		// Of two candidates a connection may say what either needs.
		candidates := strings.Split(p.baseURL, " || ")
		ways, base := make([]led, len(candidates)), make([]string, len(candidates))
		for i, candidate := range candidates {
			ways[i] = leadTo(r.up, candidate)
			base[i] = ways[i].baseURL
		}
		p.create(r, strings.Join(base, " || "))
		if len(ways[0].config) > 0 {
			perConnection++
		}
		for n, l := range ways {
			t.Run(fmt.Sprintf("A12 %s by %s", p.name, slices.Sorted(maps.Keys(l.config))), func(t *testing.T) {
				id, key := fmt.Sprintf("cust-%d", n), fmt.Sprintf("key-of-%s-%d", p.name, n)
				p.enter(r, id, key, l.config)
				r.up.Forget()
				if a := r.proxy(p.name, id, http.MethodGet, "/v9/things?q=a%20b", ""); a.status != http.StatusOK {
					t.Fatalf("%s: answered %d %s", strings.Join(base, " || "), a.status, a.body)
				}
				got, value := r.up.Only(), strings.ReplaceAll(p.template, "${apiKey}", key)
				target := l.path + "/v9/things?q=a%20b"
				if p.placement == "query" {
					target += "&" + p.keyName + "=" + value
				} else if have := got.Values(p.keyName); len(have) != 1 || have[0] != value {
					t.Errorf("received %s %q, want %q", p.keyName, have, value)
				}
				if got.Target != target || got.Host() != r.up.Addr() || strings.Count(got.String(), key) != 1 {
					t.Errorf("received %s, want %s with one key", got, target)
				}
			})
		}
	}
	if perConnection != 94 {
		t.Errorf("%d rows take something from the connection, want 94", perConnection)
	}
}

func TestA12TheAPITakesPlacementsOfRealAPIsAsTheyStand(t *testing.T) {
	r := newRig(t, settings{local: true})
	for _, p := range providers(t) {
		t.Run("A12 "+p.name, func(t *testing.T) {
			p.create(r, p.baseURL)
			data, _ := r.api(http.StatusOK, http.MethodGet, "/integrations/"+p.name, "").json(t)["data"].(map[string]any)
			got, _ := data["integration_config"].(map[string]any)
			for name, want := range map[string]string{"baseUrl": p.baseURL, "keyPlacement": p.placement, "keyName": p.keyName, "valueTemplate": p.template} {
				if got[name] != want {
					t.Errorf("%s is %v, want %s", name, got[name], want)
				}
			}
		})
	}
}
