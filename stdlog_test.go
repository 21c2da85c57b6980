package apikeyinject

import (
	"bytes"
	"log"
	"strings"
	"testing"
)

func TestUnsolicitedAnswersAreNotQuoted(t *testing.T) {
	var out bytes.Buffer
	was := log.Writer()
	log.SetOutput(&out)
	defer log.SetOutput(was)
	quieten()
	quieten() // a second configuration
	log.Print("before")
	log.Printf("Unsolicited response received on idle HTTP channel starting with %q; err=%v", "your key is canary", nil)
	log.Print("after")
	if got := out.String(); strings.Contains(got, "canary") || strings.Count(got, "\n") != 3 ||
		!strings.Contains(got, "before") || !strings.Contains(got, "Unsolicited response") || !strings.Contains(got, "after") {
		t.Errorf("logged %q", got)
	}
}
