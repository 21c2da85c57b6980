// J1-J6: addresses and names.

package egress

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/pgtest"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// loopback are spellings of this machine.
var loopback = []string{
	"127.0.0.1", "127.1.2.3", "127.0.0.1.", "localhost", "localhost.", "LOCALHOST", "LocalHost.", "a.localhost", "localhost.localdomain",
	"2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "127.1", "017700000001", "0X7F.0.0.0x1",
	"[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:7f00:1]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "0.0.0.0", "0", "[::]",
	"[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "１２７.0.0.1", "127。0。0。1", "ⓛocalhost",
	"loop.example", "alias.internal.example",
}

// metadata are services of clouds and addresses of a link.
var metadata = []string{
	"169.254.169.254", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "2852039166", "0xa9fea9fe", "[64:ff9b::a9fe:a9fe]", "169.254.1.1", "[fe80::1]", "100.100.100.200", "168.63.129.16",
	"metadata.internal.example",
}

func TestJ1AndJ2NoSpellingLeadsToThisMachineOrToMetadata(t *testing.T) {
	// Private addresses are open, also by name: these are not.
	r := newRig(t, settings{allow: "private_ranges .internal.example", names: map[string][]string{
		"loop.example": {"127.0.0.1"}, "alias.internal.example": {"127.0.0.1"}, "metadata.internal.example": {"169.254.169.254"}, "a.localhost": {"127.0.0.1"},
	}})
	_, port, _ := net.SplitHostPort(r.up.Addr())
	if status, body := r.create("template", "http://${connectionConfig.host}:"+port); status != http.StatusOK {
		t.Fatal(body)
	}
	if status, body := r.create("whole", "${connectionConfig.base}/v1"); status != http.StatusOK {
		t.Fatal(body)
	}
	n := 0
	for id, hosts := range map[string][]string{"J1": loopback, "J2": metadata} {
		for _, host := range hosts {
			n++
			base := "http://" + host + ":" + port
			t.Run(id+" in the base URL: "+host, func(t *testing.T) {
				key := fmt.Sprintf("i-%d", n)
				if status, _ := r.create(key, base); status != http.StatusOK {
					return // refused where it was written
				}
				r.enter(key, "c", nil)
				r.wantDenied(t, key, "c")
			})
			for integration, config := range map[string]map[string]string{"template": {"host": host}, "whole": {"base": base}} {
				t.Run(id+" from the connection, "+integration+": "+host, func(t *testing.T) {
					conn := fmt.Sprintf("c-%d", n)
					if status, _ := r.enter(integration, conn, config); status != http.StatusCreated {
						return
					}
					r.wantDenied(t, integration, conn)
				})
			}
		}
	}
	if n := r.up.Connections(); n != 0 {
		t.Errorf("%d connections were opened", n)
	}
	log := r.caddy.Log.Wait(t, `\"loop.example\" at 127.0.0.1`, 5*time.Second)
	if !strings.Contains(log, "allow 127.0.0.1") {
		t.Errorf("J1: the log does not say what would open it: %s", log)
	}
	log = r.caddy.Log.Wait(t, `\"metadata.internal.example\" at 169.254.169.254`, 5*time.Second)
	if !strings.Contains(log, "never opened") {
		t.Errorf("J2: the log does not say that nothing opens it: %s", log)
	}
}

// near is a private address that leads nowhere: a connection to it fails, and
// reaches nobody. What counts is that it was tried.
const near = "fd9e:21a7:a92c:2323::5"

const (
	goes    = http.StatusBadGateway // or 504, where the network is silent
	refused = http.StatusForbidden
)

func TestJ3ANameIsJudgedByTheAddressThatIsDialled(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{allow: "rebind.internal.example", names: map[string][]string{
		// Harmless and allowed when it is looked up the first times, then this machine.
		"rebind.internal.example": {near, near, "127.0.0.1"},
	}})
	_, port, _ := net.SplitHostPort(r.up.Addr())
	r.made("rebind", "http://rebind.internal.example:"+port)
	for range 2 {
		if status, code := r.call("rebind", "c"); status/10 != goes/10 || code != "" {
			t.Fatalf("J3: at an allowed address: %d %s, want that nobody listens there", status, code)
		}
	}
	r.wantDenied(t, "rebind", "c")
	r.wantDenied(t, "rebind", "c", "Retries: 2")
	if n := r.names.count("rebind.internal.example"); n < 4 {
		t.Errorf("J3: the name was looked up %d times", n)
	}
}

func TestJ4AndJ5PrivateAddressesAreOpenedByRangeOrByName(t *testing.T) {
	t.Parallel()
	port := fmt.Sprint(harness.Port(t)) // nobody listens
	answers := map[string][]string{
		"a.internal.example": {near}, "internal.example": {near}, "internal.example.evil": {near}, "xinternal.example": {near}, "b.a.internal.example": {near}, "host.example": {near},
	}
	for _, c := range []struct {
		name, allow string
		want        map[string]int
	}{
		{"J4 nothing is allowed", "", map[string]int{near: refused, "host.example": refused, "a.internal.example": refused}},
		{"J4 private_ranges", "private_ranges", map[string]int{near: goes, "host.example": goes}},
		{"J4 the address", near, map[string]int{near: goes, "host.example": goes}},
		{"J4 another range", "10.255.254.0/30", map[string]int{near: refused, "host.example": refused}},
		{"J5 a suffix", ".internal.example", map[string]int{
			near: refused, "a.internal.example": goes, "A.Internal.Example.": goes, "b.a.internal.example": goes,
			"internal.example.evil": refused, "xinternal.example": refused, "internal.example": refused, "host.example": refused,
		}},
		{"J5 a name", "host.example", map[string]int{near: refused, "host.example": goes, "a.internal.example": refused}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, settings{allow: c.allow, names: answers})
			n := 0
			for host, want := range c.want {
				n++
				key := fmt.Sprintf("i-%d", n)
				if host == near {
					host = "[" + near + "]"
				}
				r.made(key, "http://"+host+":"+port)
				mark := r.caddy.Log.Mark()
				status, code := r.call(key, "c")
				if status/10 != want/10 || (code == "egress_denied") != (want == refused) {
					t.Errorf("%s: answered %d %s, want %d", host, status, code, want)
				}
				if want == refused {
					r.caddy.Log.Wait(t, `connecting to \"`+strings.Trim(host, "[]")+`\"`, 5*time.Second)
					if said := r.caddy.Log.Since(mark); !strings.Contains(said, "egress { allow private_ranges or allow "+near) {
						t.Errorf("%s: the log does not say what opens it: %s", host, said)
					}
				}
			}
		})
	}
}

func TestJ6TheStoreTheCatalogAndTheAdminEndpointAreNeverReached(t *testing.T) {
	vault, db := vaulttest.Start(t), pgtest.Database(t)
	r := newRig(t, settings{
		allow:  "127.0.0.0/8 ::1 private_ranges .example",
		global: "\t\tstore vault {\n\t\t\taddress " + vault.Addr + "\n\t\t\tauth token {env.VT}\n\t\t}\n\t\tcatalog postgres {env.DB}\n",
		names:  map[string][]string{"vault.example": {"127.0.0.1"}, "db.example": {"127.0.0.1"}, "admin.example": {"127.0.0.1"}},
		env:    []string{"VT=" + vault.Token, "DB=" + db},
	})
	at := func(u string) string {
		_, port, _ := net.SplitHostPort(strings.TrimPrefix(strings.TrimSuffix(u, "/"), "http://"))
		return port
	}
	dbPort := at(strings.SplitN(strings.SplitN(db, "@", 2)[1], "/", 2)[0])
	r.made("up", r.up.URL())
	if status, code := r.call("up", "c"); status != http.StatusOK {
		t.Fatalf("J6: the upstream itself: %d %s", status, code)
	}
	n := 0
	for name, port := range map[string]string{"vault": at(vault.Addr), "db": dbPort, "admin": at(r.caddy.Admin)} {
		for _, host := range []string{"127.0.0.1", "127.0.0.2", name + ".example", "[::1]"} {
			n++
			t.Run("J6 "+name+" at "+host, func(t *testing.T) {
				key := fmt.Sprintf("i-%d", n)
				if status, _ := r.create(key, "http://"+host+":"+port); status != http.StatusOK {
					return
				}
				r.enter(key, "c", nil)
				r.wantDenied(t, key, "c")
			})
		}
	}
}
