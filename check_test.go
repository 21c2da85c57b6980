package apikeyinject

// This file holds tests of what a check looks at.

import "testing"

func TestKeysOfConnectionsAreNotTriedWithoutOne(t *testing.T) {
	ctx, err := provisionApp(t, appConfig(t, `
		"own": {"base_url": "https://a.example", "key_name": "X", "key": {"path": "a"}},
		"of-connections": {"base_url": "https://b.example", "key_name": "X"}`))
	if err != nil {
		t.Fatal(err)
	}
	app, err := ctx.App("apikey_inject")
	if err != nil {
		t.Fatal(err)
	}
	for connection, want := range map[string]string{
		"":       "caddy-apikey-inject/of-connections/${connectionId} per_connection",
		"cust-1": "caddy-apikey-inject/of-connections/cust-1 ",
	} {
		rows := app.(*App).toCheck(connection)
		if len(rows) != 2 {
			t.Fatalf("%d rows", len(rows))
		}
		if got := rows[0].Path + " " + rows[0].Result; got != want {
			t.Errorf("of a connection: got %q, want %q", got, want)
		}
		if rows[1].Path != "a" || rows[1].Result != "" {
			t.Errorf("of its own: %+v", rows[1])
		}
	}
}
