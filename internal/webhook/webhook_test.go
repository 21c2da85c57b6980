package webhook

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// verifies asks the library of the Standard Webhooks project.
func verifies(g got, raw string) bool {
	wh, err := standard.NewWebhookRaw([]byte(raw))
	if strings.HasPrefix(raw, whsec) {
		wh, err = standard.NewWebhook(raw)
	}
	return err == nil && wh.VerifyIgnoringTimestamp([]byte(g.body), g.header) == nil
}

func TestTheBodyIsWhatNangosClientsExpect(t *testing.T) {
	user := &catalog.EndUser{ID: "user-7", Email: "ada@example.com", DisplayName: "Ada", Organization: &catalog.Organization{ID: "org-3"}}
	for name, c := range map[string]struct {
		message catalog.Message
		want    string
	}{
		"a new connection": {
			catalog.Message{Integration: "acme", Connection: "cust-1", Provider: "private-api-generic", Operation: catalog.OperationCreation, Success: true, Tags: map[string]string{"plan": "pro"}, EndUser: user},
			`{"from":"nango","type":"auth","operation":"creation","connectionId":"cust-1","authMode":"API_KEY","providerConfigKey":"acme","provider":"private-api-generic","environment":"prod","success":true,"tags":{"plan":"pro"},"endUser":{"endUserId":"user-7","organizationId":"org-3","endUserEmail":"ada@example.com","tags":{"plan":"pro"}}}`,
		},
		"a key that is refused": {
			catalog.Message{Integration: "acme", Connection: "c", Provider: "private-api-bearer", Operation: catalog.OperationRefresh, Reason: catalog.ReasonAuthFailed, EndUser: &catalog.EndUser{ID: "u"}},
			`{"from":"nango","type":"auth","operation":"refresh","connectionId":"c","authMode":"API_KEY","providerConfigKey":"acme","provider":"private-api-bearer","environment":"prod","success":false,"endUser":{"endUserId":"u","tags":{}},"error":{"type":"auth_failed","description":"The upstream refuses the key of this connection. Have its owner enter a new one."}}`,
		},
	} {
		if got, err := encode(&c.message); err != nil || string(got) != c.want {
			t.Errorf("%s: %v\n got %s\nwant %s", name, err, got, c.want)
		}
	}
}

func TestBothSignaturesAreGood(t *testing.T) {
	body, at := []byte(`{"from":"nango"}`), time.Unix(1782907200, 0)
	for _, raw := range []string{signing, "a secret of plain text"} {
		h := http.Header{}
		sign(h, secret.New(raw), "msg_1", at, body)
		if !verifies(got{body: string(body), header: h}, raw) {
			t.Errorf("%v is no Standard Webhooks signature", h)
		}
		if verifies(got{body: string(body) + " ", header: h}, raw) {
			t.Error("the signature fits another body")
		}
		h.Set("Webhook-Timestamp", "1782907201")
		if verifies(got{body: string(body), header: h}, raw) {
			t.Error("the signature fits another time")
		}
	}
	// What Nango's own clients compute: HMAC-SHA256 with the secret as it is.
	h := http.Header{}
	sign(h, secret.New("secret"), "msg_1", at, []byte("body"))
	if got := h.Get("X-Nango-Hmac-Sha256"); got != "dc46983557fea127b43af721467eb9b3fde2338fe3e14f51952aa8478c13d355" {
		t.Errorf("Nango's signature is %s", got)
	}
	sign(h, secret.New(signing), "msg_1", at, []byte("body"))
	if got := h.Get("X-Nango-Hmac-Sha256"); got != "87b7bcdd672d056b7380c5ae3ffd9cffbd91c8c28a318f8e754373a544999bb5" {
		t.Errorf("Nango's signature by %s is %s", whsec, got)
	}
}

func TestSecretsThatSignNothingAreRefused(t *testing.T) {
	for raw, fine := range map[string]bool{
		"": false, "short": false, "fifteen bytes..": false, "sixteen bytes...": true,
		"whsec_": false, "whsec_not base64!": false, "whsec_" + base64.StdEncoding.EncodeToString([]byte("fifteen bytes..")): false, signing: true,
	} {
		err := CheckSecret(secret.New(raw))
		if (err == nil) != fine {
			t.Errorf("%q: %v", raw, err)
		}
		if err != nil && raw != "" && strings.Contains(err.Error(), raw) && raw != "whsec_" {
			t.Errorf("the error shows it: %v", err)
		}
	}
}
