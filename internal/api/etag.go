package api

// This file holds how a writer says which state it has read, so that of two
// writers one learns of the other.

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// condition documents the header, which [call.expect] reads.
type condition struct {
	IfMatch string `header:"If-Match" description:"The ETag of the state that this is meant for; 412 for another one."`
}

// etag names a state of a row. The time is in it because a row that is deleted
// and made again counts from 1 again.
func etag(created time.Time, revision int64) string {
	return `"` + strconv.FormatInt(created.UnixMicro(), 36) + "-" + strconv.FormatInt(revision, 10) + `"`
}

// tag sets the ETag of the answer.
func (c *call) tag(created time.Time, revision int64) {
	c.w.Header().Set("Etag", etag(created, revision))
}

// expect refuses a write that was meant for another state, by If-Match. A weak
// tag never matches (RFC 9110, 13.1.1).
func (c *call) expect(created time.Time, revision int64) error {
	wanted := c.r.Header.Values("If-Match")
	if len(wanted) == 0 {
		return nil
	}
	now := etag(created, revision)
	for t := range strings.SplitSeq(strings.Join(wanted, ","), ",") {
		if t = strings.TrimSpace(t); t == "*" || t == now {
			return nil
		}
	}
	return preconditionFailed()
}

// expectNone refuses a write that was meant for a state, where there is none.
func (c *call) expectNone() error {
	if len(c.r.Header.Values("If-Match")) == 0 {
		return nil
	}
	return preconditionFailed()
}

func preconditionFailed() *Error {
	return refuse(http.StatusPreconditionFailed, "precondition_failed", "It is not in the state that If-Match names; read it again")
}
