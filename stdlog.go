package apikeyinject

// This file holds what net/http may say in the process's log.

import (
	"bytes"
	"io"
	"log"
)

// quieten keeps net/http from logging what an upstream sends after the end of
// its answer. It quotes it, by the log package and not by an error that could
// be looked at; Caddy writes that package's lines to its own log, at INFO. An
// upstream that repeats its key there would put it into the log.
//
// Caddy sets the package's output anew for each configuration, so each one
// wraps it anew.
func quieten() {
	w := log.Writer()
	if _, ok := w.(unsolicited); !ok {
		log.SetOutput(unsolicited{w})
	}
}

// unsolicited writes lines but for what they quote of an upstream.
type unsolicited struct{ w io.Writer }

// mark stands before the quotation.
var mark = []byte("Unsolicited response received on idle HTTP channel")

func (u unsolicited) Write(line []byte) (int, error) {
	if at := bytes.Index(line, mark); at >= 0 {
		short := append(bytes.Clone(line[:at+len(mark)]), "; its text is withheld\n"...)
		if _, err := u.w.Write(short); err != nil {
			return 0, err
		}
		return len(line), nil
	}
	return u.w.Write(line)
}
