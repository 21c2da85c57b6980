package egress

import (
	"errors"
	"fmt"
	"net/netip"
)

// ErrDenied is what every [*DeniedError] is.
var ErrDenied = errors.New("the address is not allowed")

// DeniedError says what was not dialled, and why. It is for the operator's log:
// to a caller it would tell what the network looks like.
type DeniedError struct {
	Host   string     // as asked for, in lower case when it is a host name
	Addr   netip.Addr // as it would have been dialled; invalid before a name is resolved
	Why    string     // what Addr or Host is
	Option string     // the line of the egress block that opens it; empty when nothing does
}

func (e *DeniedError) Error() string {
	to := fmt.Sprintf("%q", e.Host)
	if e.Addr.IsValid() && e.Host != e.Addr.String() {
		to = fmt.Sprintf("%q at %s", e.Host, e.Addr)
	}
	if e.Option == "" {
		return fmt.Sprintf("connecting to %s: denied, it is %s, which is never opened", to, e.Why)
	}
	return fmt.Sprintf("connecting to %s: denied, it is %s; egress { %s } opens it", to, e.Why, e.Option)
}

// Is tells that e is [ErrDenied].
func (e *DeniedError) Is(target error) bool { return target == ErrDenied }
