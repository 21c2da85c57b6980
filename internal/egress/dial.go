package egress

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
)

// Control returns what [net.Dialer].ControlContext has to be when host and port
// are dialled: it sees each address after the name was resolved and before a
// packet is sent. The port is a number. Its error is a [*DeniedError].
func (p *Policy) Control(host, port string) func(ctx context.Context, network, address string, c syscall.RawConn) error {
	return func(ctx context.Context, network, address string, _ syscall.RawConn) error {
		name, err := normalise(host)
		if err != nil {
			return &DeniedError{Host: host, Why: "no host name and no address"}
		}
		to, err := netip.ParseAddrPort(address)
		if err != nil || !strings.HasPrefix(network, "tcp") && !strings.HasPrefix(network, "udp") {
			return &DeniedError{Host: name, Why: "no address of an IP network"}
		}
		if p.guardsName(name, port) {
			return &DeniedError{Host: name, Addr: to.Addr(), Why: guardedService}
		}
		guarded, err := p.guardsAddr(ctx, meanings(to.Addr()), strconv.Itoa(int(to.Port())))
		if err != nil {
			return &DeniedError{Host: name, Addr: to.Addr(), Why: "perhaps " + guardedService + " (" + err.Error() + ")"}
		}
		if guarded {
			return &DeniedError{Host: name, Addr: to.Addr(), Why: guardedService}
		}
		return p.judge(name, to.Addr())
	}
}

// DialContext returns a dialer over base that connects to nothing the policy
// denies, over TCP only. What base has in ControlContext or Control runs after
// the policy. The error of a denied address is, or wraps, a [*DeniedError]; of
// a name with several addresses those are tried that are allowed.
func (p *Policy) DialContext(base *net.Dialer) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if network != "tcp" && network != "tcp4" && network != "tcp6" {
			return nil, &DeniedError{Host: address, Why: "no TCP address"}
		}
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, &DeniedError{Host: address, Why: "no host and port"}
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return nil, &DeniedError{Host: address, Why: "no port that is a number"}
		}
		port = strconv.FormatUint(n, 10)
		if err := p.CheckHost(host); err != nil {
			return nil, err
		}
		if name, _ := normalise(host); p.guardsName(name, port) {
			return nil, &DeniedError{Host: name, Why: guardedService}
		}
		d := *base
		control := p.Control(host, port)
		d.ControlContext = func(ctx context.Context, network, address string, c syscall.RawConn) error {
			if err := control(ctx, network, address, c); err != nil {
				return err
			}
			switch {
			case base.ControlContext != nil:
				return base.ControlContext(ctx, network, address, c)
			case base.Control != nil:
				return base.Control(network, address, c)
			}
			return nil
		}
		return d.DialContext(ctx, network, net.JoinHostPort(host, port))
	}
}
