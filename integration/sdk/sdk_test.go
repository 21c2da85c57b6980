package sdk

import (
	"testing"
)

func TestTheSDKDrives(t *testing.T) {
	t.Parallel()
	for name, start := range stands {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			t.Logf("%s", s.curl())
			s.do("DELETE", "/integrations/acme-internal")
			out := s.drive()
			t.Logf("%s", out)
			for _, r := range s.up.Requests() {
				t.Logf("%s", r)
			}
			t.Log(checkDocument(t, s.do("GET", "/openapi.json"), s.tap.exchanges()))
		})
	}
}
