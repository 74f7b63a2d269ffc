package cli

import (
	"net"
	"os"
)

// notify tells the service manager of a change of state (sd_notify(3)); it
// does nothing where there is none, and a manager that does not listen is no
// reason to stop.
func notify(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return
	}
	defer conn.Close()
	conn.Write([]byte(state))
}
