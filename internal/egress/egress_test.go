package egress_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/egress"
)

func policy(t *testing.T, c egress.Config) *egress.Policy {
	t.Helper()
	p, err := egress.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func allowing(t *testing.T, entries ...string) *egress.Policy {
	t.Helper()
	return policy(t, egress.Config{Allow: entries})
}

// dialled is the decision about an address that host was resolved to.
func dialled(t *testing.T, p *egress.Policy, host, address string) error {
	t.Helper()
	return p.Control(host, "443")(t.Context(), "tcp", address, nil)
}

func denied(t *testing.T, err error) *egress.DeniedError {
	t.Helper()
	var d *egress.DeniedError
	if !errors.As(err, &d) || !errors.Is(err, egress.ErrDenied) {
		t.Fatalf("got %v, want it denied", err)
	}
	return d
}

// J1: every spelling of this machine, before anything is resolved.
func TestSpellingsOfAddressesAreJudgedAsTheAddress(t *testing.T) {
	p := allowing(t, "private_ranges", "0.0.0.0/0", "::/0", "crm.example")
	for _, host := range []string{
		"127.0.0.1", "127.1.2.3", "localhost", "localhost.", "LOCALHOST", "LocalHost.", "a.localhost", "localhost.localdomain", "ip6-localhost", "2130706433", "0x7f000001", "0x7f.1",
		"0177.0.0.1", "0177.1", "127.1", "127.0.1", "0X7F.0.0.1", "127.0.0.1.", "127.0.0.1..", "[::1]", "::1", "[0:0::1]", "[::ffff:7f00:1]", "[::ffff:127.0.0.1]", "[::127.0.0.1]",
		"[::ffff:0:7f00:1]", "0.0.0.0", "0", "0x", "00.0", "[::]", "0.1.2.3", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[64:ff9b:1:7f00:0:100::]", "[64:ff9b:1:7f:0:1::]", "[64:ff9b:1:0:7f:0:100:0]",
		"[2002:7f00:1::]", "[2001:0:7f00:1::]", "[2001::80ff:fffe]", "１２７.0.0.1", "127。0。0。1", "ⓛocalhost",
		"169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "[fe80::1]", "[fe80::1%25eth0]", "[::ffff:a9fe:a9fe]", "[fd00:ec2::254]", "[2002:a9fe:a9fe::1]", "[64:ff9b::a9fe:a9fe]",
		"224.0.0.1", "[ff02::1]", "255.255.255.255", "100.100.100.200", "192.0.0.192", "168.63.129.16", "[fd20:ce::254]", "[fd00:c1::a9fe:a9fe]", "[fd00:42::42]",
		"256.1.1.1", "1.2.3.4.5", "4294967296", "6425673729", "08.0.0.1", "a.1", "a.0x7f", "", ".", "[", "[]", "[127.0.0.1", "[localhost]", "[crm.example]", "[93.184.215.14]", "[2606:4700::1111", "127.0.0.1。", "5861070606", "[64:ff9b:1::]", "a b", "a/b", "a:80", "a..b", ".a", "a\x00", "a@b", "\xff",
	} {
		if err := p.CheckHost(host); err == nil {
			t.Errorf("%q is let through", host)
		} else if d := denied(t, err); d.Why == "" || strings.ContainsRune(d.Error(), 0) {
			t.Errorf("%q: %+v", host, d)
		}
	}
	for _, host := range []string{
		"api.example", "API.Example.", "93.184.215.14", "1566103310", "0x5d.0xb8.0xd70e", "[2606:4700::1111]", "bücher.example", "my_service", "localhost.example", "notlocalhost",
		"127.0.0.1.nip.io", "0x7f.example", "[64:ff9b::5db8:d70e]", "[64:ff9b:1::5db8:d70e]", "[2002:5db8:d70e::1]", "10.0.0.1",
	} {
		if err := p.CheckHost(host); err != nil {
			t.Errorf("%q: %v", host, err)
		}
	}
}

func TestWhatAnAddressIsDecides(t *testing.T) {
	for name, tc := range map[string]struct {
		allow  []string
		open   []string
		closed []string
	}{
		"nothing allowed": {
			nil,
			[]string{"93.184.215.14", "[2606:4700::1111]", "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.255.255", "100.128.0.1", "[2001:200::1]"},
			[]string{
				"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "[fc00::1]", "[fdff::1]", "127.0.0.1", "[::1]", "100.64.0.1", "192.0.0.1", "192.0.2.1", "192.88.99.1", "198.18.0.1",
				"198.51.100.1", "203.0.113.1", "240.0.0.1", "[2001:db8::1]", "[2001:2::1]", "[3fff::1]", "[fec0::1]", "[100::1]", "[5f00::1]", "[4000::1]", "[::ffff:10.0.0.1]", "[64:ff9b::a00:1]",
				"[64:ff9b:1:a00:0:100:808:808]", "[64:ff9b:1:5d0a:0:1:808:808]", "[64:ff9b:1:5d08:a:0:108:808]",
				"[2002:a00:1::]", "[2001:0:a00:1::f7f7:f7f7]", "[2001:0:808:808::f5ff:fffe]", "169.254.0.1", "[fe80::1%eth0]", "0.0.0.0", "[::]", "224.0.0.1",
			},
		},
		"private_ranges": {
			[]string{"private_ranges"},
			[]string{"10.0.0.1", "172.16.0.1", "192.168.1.1", "[fd12::1]", "[::ffff:10.0.0.1]", "[64:ff9b::a00:1]", "93.184.215.14"},
			[]string{"127.0.0.1", "[::1]", "169.254.169.254", "[fd00:ec2::254]", "[fe80::1]", "100.64.0.1", "100.100.100.200", "192.0.0.192", "198.18.0.1", "240.0.0.1", "0.0.0.0"},
		},
		"a range": {
			[]string{"10.1.2.3/16", "fd12::/16", "198.18.0.0/15"},
			[]string{"10.1.0.1", "[fd12::1]", "198.19.0.1", "[2002:a01:1::]"},
			[]string{"10.2.0.1", "[fd13::1]", "127.0.0.1", "192.168.0.1"},
		},
		"an address":                {[]string{"10.1.2.3", "100.64.0.1"}, []string{"10.1.2.3", "100.64.0.1"}, []string{"10.1.2.4", "100.64.0.2"}},
		"a mapped address":          {[]string{"::ffff:10.1.2.3"}, []string{"10.1.2.3"}, []string{"10.1.2.4"}},
		"a mapped range":            {[]string{"::ffff:10.1.0.0/112"}, []string{"10.1.2.3"}, []string{"10.2.0.1"}},
		"loopback by address":       {[]string{"127.0.0.1"}, []string{"127.0.0.1", "[::ffff:127.0.0.1]"}, []string{"127.0.0.2", "[::1]", "0.0.0.0", "[::]"}},
		"loopback by range":         {[]string{"127.0.0.0/8", "::1"}, []string{"127.0.0.1", "127.9.9.9", "[::1]"}, []string{"0.0.0.0", "169.254.0.1"}},
		"everything by range":       {[]string{"0.0.0.0/0", "::/0"}, []string{"10.0.0.1", "240.0.0.1", "[fec0::1]"}, []string{"127.0.0.1", "[::1]", "169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "255.255.255.255", "168.63.129.16", "[ff02::1]"}},
		"a range next to loopback":  {[]string{"126.0.0.0/7"}, []string{"126.0.0.1"}, []string{"127.0.0.1"}},
		"a name opens no addresses": {[]string{"crm.example"}, nil, []string{"10.0.0.1", "127.0.0.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := allowing(t, tc.allow...)
			for _, a := range tc.open {
				if err := dialled(t, p, "api.example", a+":443"); err != nil {
					t.Errorf("%s: %v", a, err)
				}
				if err := p.CheckHost(a); err != nil {
					t.Errorf("%s as a host: %v", a, err)
				}
			}
			for _, a := range tc.closed {
				denied(t, dialled(t, p, "api.example", a+":443"))
				denied(t, p.CheckHost(a))
			}
		})
	}
}

// J5, and what a name opens.
func TestNamesOpenPrivateAddresses(t *testing.T) {
	p := allowing(t, ".internal.example", "CRM.Example.")
	for _, tc := range []struct {
		host, address string
		open          bool
	}{
		{"a.internal.example", "10.0.0.1", true},
		{"A.b.Internal.Example.", "192.168.0.1", true},
		{"a.internal.example", "[fd12::1]", true},
		{"crm.example", "10.0.0.1", true},
		{"CRM.example.", "10.0.0.1", true},
		{"internal.example", "10.0.0.1", false},
		{"internal.example.evil", "10.0.0.1", false},
		{"xinternal.example", "10.0.0.1", false},
		{"x.crm.example", "10.0.0.1", false},
		{"xcrm.example", "10.0.0.1", false},
		{"crm.example.evil", "10.0.0.1", false},
		{"a.internal.example", "127.0.0.1", false},
		{"a.internal.example", "[::1]", false},
		{"a.internal.example", "169.254.169.254", false},
		{"a.internal.example", "[fd00:ec2::254]", false},
		{"a.internal.example", "100.64.0.1", false},
		{"a.internal.example", "198.18.0.1", false},
		{"a.internal.example", "93.184.215.14", true},
		{"a b", "93.184.215.14", false},
	} {
		if err := dialled(t, p, tc.host, tc.address+":443"); (err == nil) != tc.open {
			t.Errorf("%s at %s: %v", tc.host, tc.address, err)
		}
	}
	if err := allowing(t, "127.0.0.1").CheckHost("localhost"); err != nil {
		t.Error(err)
	}
	if err := allowing(t, "::1").CheckHost("localhost"); err != nil {
		t.Error(err)
	}
}

func TestOnlyIPNetworksAreDialled(t *testing.T) {
	p := allowing(t)
	control := p.Control("api.example", "443")
	denied(t, control(t.Context(), "unix", "/run/docker.sock", nil))
	denied(t, control(t.Context(), "unix", "93.184.215.14:443", nil))
	denied(t, control(t.Context(), "tcp", "api.example:443", nil))
	if err := control(t.Context(), "udp4", "93.184.215.14:443", nil); err != nil {
		t.Error(err)
	}
}

// J4: the log names the option.
func TestTheErrorNamesTheOption(t *testing.T) {
	for _, tc := range []struct {
		address string
		says    []string
	}{
		{"10.0.0.1", []string{`"crm.example" at 10.0.0.1`, "private address", "egress {", "allow private_ranges", "allow 10.0.0.1", "allow crm.example"}},
		{"127.0.0.1", []string{"loopback", "egress { allow 127.0.0.1 }"}},
		{"100.64.0.1", []string{"special-purpose", "egress { allow 100.64.0.1 }"}},
		{"[fec0::1]", []string{"outside the public IPv6", "allow fec0::1"}},
		{"169.254.169.254", []string{"metadata", "never opened"}},
		{"169.254.0.1", []string{"link-local", "never opened"}},
		{"[fe80::1%eth0]", []string{"link-local", "never opened"}},
		{"0.0.0.0", []string{"unspecified", "never opened"}},
	} {
		d := denied(t, dialled(t, allowing(t), "crm.example", tc.address+":443"))
		for _, s := range tc.says {
			if !strings.Contains(d.Error(), s) {
				t.Errorf("%s: %q does not say %q", tc.address, d.Error(), s)
			}
		}
		if (d.Option == "") != strings.Contains(d.Error(), "never opened") || d.Host != "crm.example" || !d.Addr.IsValid() {
			t.Errorf("%s: %+v", tc.address, d)
		}
	}
	d := denied(t, allowing(t).CheckHost("10.0.0.1"))
	if d.Option != "allow private_ranges or allow 10.0.0.1" || strings.Count(d.Error(), "10.0.0.1") != 2 {
		t.Errorf("%v", d)
	}
}

func TestEntriesThatAreRefused(t *testing.T) {
	for entry, says := range map[string]string{
		"":                    "allowed are private_ranges",
		".":                   "allowed are",
		"*.internal.example":  "allowed are",
		"..internal.example":  "allowed are",
		"10.0.0.0/33":         "allowed are",
		"10.0.0.1:80":         "allowed are",
		"http://h":            "allowed are",
		"h/x":                 "allowed are",
		"[::1]":               "allowed are",
		"fe80::1%eth0":        "allowed are",
		"10.0.1":              "looks like an address",
		"2130706433":          "looks like an address",
		"localhost":           "127.0.0.1 or ::1",
		".localhost":          "127.0.0.1 or ::1",
		"0.0.0.0":             "never opened",
		"169.254.0.0/16":      "never opened",
		"169.254.169.254":     "never opened",
		"fd00:ec2::254":       "never opened",
		"ff02::/16":           "never opened",
		"::ffff:169.254.1.1":  "never opened",
		"::ffff:a9fe:0/112":   "never opened",
		"private_range":       "", // a host name, with an underscore as in names of containers
		"a.internal.example.": "",
	} {
		_, err := egress.New(egress.Config{Allow: []string{"private_ranges", entry}})
		if says == "" && err == nil {
			continue
		}
		if says == "" || err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), `egress allow "`+entry+`"`) {
			t.Errorf("%q: got %v, want it to say %q", entry, err, says)
		}
	}
	for _, entry := range []string{"", "vault", "vault:", "vault:0", "vault:65536", "vault:https", "a b:1", "https://vault:8200"} {
		if _, err := egress.New(egress.Config{Never: []string{entry}}); err == nil || !strings.Contains(err.Error(), `egress never "`+entry+`"`) {
			t.Errorf("never %q: got %v", entry, err)
		}
	}
}
