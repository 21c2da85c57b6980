// This file holds how connections to a server are made that notice its end.

package catalog

import (
	"net"
	"time"
)

// silence is how long a server whose machine is gone without a word, as after
// a failover or behind a router that forgot us, is waited for. Left to the system it
// is a quarter of an hour for what is sent: for as long all writes of this node would
// stand behind it, and nothing be heard of the others.
const silence = 25 * time.Second

// dialler makes connections that end after that silence: those that wait for an
// answer or a notification by being asked, those that send by what is not
// acknowledged.
var dialler = &net.Dialer{
	KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3},
	Control:         boundSilence,
}
