// Package webhook tells the operator's own service what becomes of connections:
// in the body and with the signature of Nango's webhooks, and signed a second
// time as the Standard Webhooks specification says, against replay.
//
// What is to be sent waits in the catalog's outbox. A [Sender] takes from it,
// tries again for three days, and so loses nothing over restarts.
package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// minSecret is the shortest secret, in bytes: one that can be guessed signs
// nothing.
const minSecret = 16

// whsec begins a secret in the form of Standard Webhooks.
const whsec = "whsec_"

// Receiver is where webhooks go that have no URL of their own, and how all are
// signed and sent.
type Receiver struct {
	URL    string
	Secret secret.Value

	// Client sends. What it may reach is its transport's to decide; redirects
	// it must not follow.
	Client *http.Client
}

// CheckURL refuses what no webhook can be sent to. Its errors hold nothing of
// the URL, which may have a token in it.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return errors.New("must be a URL such as https://app.example/webhooks, without a user or fragment")
	}
	return nil
}

// CheckSecret refuses what nothing should be signed with.
func CheckSecret(s secret.Value) error {
	raw := s.Reveal()
	if encoded, ok := strings.CutPrefix(raw, whsec); ok {
		key, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return errors.New("begins with whsec_ and is not base64 after that")
		}
		raw = string(key)
	}
	if len(raw) < minSecret {
		return fmt.Errorf("must have at least %d bytes, such as whsec_ and the output of openssl rand -base64 32", minSecret)
	}
	return nil
}

// body is what is sent, in Nango's words.
type body struct {
	From        string            `json:"from"`
	Type        string            `json:"type"`
	Operation   string            `json:"operation"`
	Connection  string            `json:"connectionId"`
	AuthMode    string            `json:"authMode"`
	Integration string            `json:"providerConfigKey"`
	Provider    string            `json:"provider"`
	Environment string            `json:"environment"`
	Success     bool              `json:"success"`
	Tags        map[string]string `json:"tags,omitempty"`
	EndUser     *endUser          `json:"endUser,omitempty"`
	Error       *failure          `json:"error,omitempty"`
}

type endUser struct {
	ID           string            `json:"endUserId"`
	Organization string            `json:"organizationId,omitempty"`
	Email        string            `json:"endUserEmail,omitempty"`
	Tags         map[string]string `json:"tags"`
}

type failure struct {
	Type        string `json:"type"`
	Description string `json:"description"`
}

// descriptions say to a person what a code means.
var descriptions = map[string]string{
	catalog.ReasonAuthFailed: "The upstream refuses the key of this connection. Have its owner enter a new one.",
}

// encode makes the body of a message: the same at each attempt.
func encode(m *catalog.Message) ([]byte, error) {
	b := body{
		From: "nango", Type: "auth", Operation: m.Operation, Connection: m.Connection, AuthMode: "API_KEY",
		Integration: m.Integration, Provider: m.Provider, Environment: "prod", Success: m.Success, Tags: m.Tags,
	}
	if u := m.EndUser; u != nil {
		b.EndUser = &endUser{ID: u.ID, Email: u.Email, Tags: m.Tags}
		if b.EndUser.Tags == nil {
			b.EndUser.Tags = map[string]string{}
		}
		if u.Organization != nil {
			b.EndUser.Organization = u.Organization.ID
		}
	}
	if !m.Success {
		b.Error = &failure{m.Reason, descriptions[m.Reason]}
	}
	raw, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("writing a webhook: %w", err)
	}
	return raw, nil
}

// sign signs a body twice: as Nango does, with the secret as it is, and as
// Standard Webhooks does, with what a secret that begins with whsec_ encodes.
func sign(h http.Header, s secret.Value, id string, at time.Time, body []byte) {
	raw := s.Reveal()
	key := []byte(raw)
	if encoded, ok := strings.CutPrefix(raw, whsec); ok {
		key, _ = base64.StdEncoding.DecodeString(encoded) // checked: see CheckSecret
	}
	stamp := strconv.FormatInt(at.Unix(), 10)
	h.Set("X-Nango-Hmac-Sha256", hex.EncodeToString(mac([]byte(raw), body)))
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", stamp)
	h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac(key, []byte(id+"."+stamp+"."), body)))
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		_, _ = h.Write(p) // never fails
	}
	return h.Sum(nil)
}
