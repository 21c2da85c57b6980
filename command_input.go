package apikeyinject

// This file holds how a command gets a key: from a pipe, or from a person at a
// terminal that shows nothing.

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// readKey reads one key from in, and asks for it on prompt when in is a
// terminal. A key that could not be sent is refused with the reason.
func readKey(in *os.File, prompt io.Writer, path string) (*keyText, error) {
	var text []byte
	var err error
	fd := int(in.Fd())
	if term.IsTerminal(fd) {
		fmt.Fprintf(prompt, "API key for %s (it is not shown): ", path)
		text, err = readHidden(fd)
		fmt.Fprintln(prompt)
	} else {
		// Two bytes for a line end, one to tell that there is more.
		text, err = io.ReadAll(io.LimitReader(in, store.MaxKeyLength+3))
	}
	if err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	key, reason := store.CleanKey(secret.New(string(text)))
	if reason != "" {
		return nil, errors.New("the key " + reason)
	}
	return &keyText{key}, nil
}

// readHidden reads a line from a terminal with its echo off, and turns it on
// again also when the person gives up with Ctrl-C.
func readHidden(fd int) ([]byte, error) {
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(stop)
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-stop:
			_ = term.Restore(fd, before)
			os.Exit(caddy.ExitCodeForceQuit)
		case <-done:
		}
	}()
	return term.ReadPassword(fd)
}
