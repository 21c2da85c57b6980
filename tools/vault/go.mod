module github.com/apikeyinject/caddy-apikey-inject/tools/vault

go 1.25.0
