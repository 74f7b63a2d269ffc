package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lastgood/internal/authority"
)

// controlTimeout bounds one request to a running lab, at both ends.
const controlTimeout = 5 * time.Second

// maxControlReply bounds in octets what a client reads.
const maxControlReply = 1 << 20

// SocketPath is where this user's lab is reached: in the session's runtime
// directory, or else in a directory of the user's own beside the temporary files.
func SocketPath() string {
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		dir = filepath.Join(os.TempDir(), "lastgood-"+strconv.Itoa(os.Getuid()))
	}
	return filepath.Join(dir, "lastgood-lab.sock")
}

// serveControl lets faults be set and listed over HTTP on a Unix socket that
// only this user can open.
func (l *Lab) serveControl(ctx context.Context, path string) error {
	listener, err := listenControl(path)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /zones", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, l.List()) })
	mux.HandleFunc("POST /fault", l.handleFault)
	server := &http.Server{Handler: mux, ReadTimeout: controlTimeout, WriteTimeout: controlTimeout, IdleTimeout: controlTimeout}
	l.running.Go(func() {
		<-ctx.Done()
		server.Close()
	})
	l.running.Go(func() { _ = server.Serve(listener) }) // it always ends in an error: that it was closed
	return nil
}

// listenControl opens the socket. One that a dead process left is removed, one
// that somebody listens on is not.
func listenControl(path string) (net.Listener, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("lab control: %w", err)
	}
	if err := private(dir); err != nil {
		return nil, err
	}
	conn, err := net.DialTimeout("unix", path, controlTimeout)
	switch {
	case err == nil:
		conn.Close()
		return nil, fmt.Errorf("lab control: another lab is running at %s", path)
	case errors.Is(err, syscall.ECONNREFUSED): // a dead socket says it, and so does a file
		if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket == 0 {
			return nil, fmt.Errorf("lab control: %s is no socket; give another path", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("lab control: %w", err)
		}
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("lab control: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		listener.Close()
		return nil, fmt.Errorf("lab control: %w", err)
	}
	return listener, nil
}

// private refuses a directory where others could put a socket of theirs.
func private(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("lab control: %w", err)
	}
	owner, known := info.Sys().(*syscall.Stat_t)
	if info.Mode().Perm()&0o022 != 0 || known && int(owner.Uid) != os.Getuid() {
		return fmt.Errorf("lab control: others can write to %s", dir)
	}
	return nil
}

func (l *Lab) handleFault(w http.ResponseWriter, r *http.Request) {
	target, text := r.FormValue("target"), r.FormValue("fault")
	f, err := authority.ParseFault(text)
	if err == nil {
		err = l.SetFault(target, f)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "%s: %s\n", target, f)
}

// SendFault sets a fault in the lab that listens at a socket, see
// [Lab.SetFault]; text is as [authority.ParseFault] reads it. It gives what the
// lab says, one line.
func SendFault(ctx context.Context, socket, target, text string) (string, error) {
	form := url.Values{"target": {target}, "fault": {text}}
	return request(ctx, socket, http.MethodPost, "/fault", strings.NewReader(form.Encode()))
}

// FetchList gives [Lab.List] of the lab that listens at a socket.
func FetchList(ctx context.Context, socket string) (string, error) {
	return request(ctx, socket, http.MethodGet, "/zones", nil)
}

func request(ctx context.Context, socket, method, path string, body io.Reader) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://lab"+path, body)
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := transport.RoundTrip(r)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return "", fmt.Errorf("no lab is running at %s: start one with lastgood lab", socket)
	}
	if err != nil {
		return "", fmt.Errorf("lab at %s: %w", socket, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxControlReply))
	if err != nil {
		return "", fmt.Errorf("lab at %s: %w", socket, err)
	}
	if response.StatusCode != http.StatusOK {
		return "", errors.New(strings.TrimSpace(string(text)))
	}
	return string(text), nil
}
