// Package control serves the control address over HTTP: metrics, liveness and
// readiness, and the API that shows and flushes the cache and tells how zones
// are (openapi.json describes it). It sees the rest of the program only through
// the functions and interfaces that it is given, and imports neither cache nor
// resolver.
//
// A web page that a browser on the same machine shows must not reach it
// (RFC 6454's origins do not stop requests), so requests that name a foreign
// host or origin are refused, and nothing is changed but by a POST of JSON.
package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"lastgood/internal/clock"
)

// Options of a Server.
type Options struct {
	// Listen is an address and port, or unix:/path of a socket to be made.
	Listen string
	// Token must come as a bearer token; required unless Listen is loopback or a socket.
	Token string
	// Ready tells whether the program listens and has loaded what it needs. It
	// must not depend on upstreams: that would drain every resolver in the very
	// outage it is for.
	Ready  func() bool
	Gather Gather
	Log    *slog.Logger
	Clock  *clock.Clock // of deadlines; one of its own when nil

	// What the API shows and changes. Without Cache there is no API; Resolver
	// goes with it.
	Cache    Cache
	Resolver Resolver
	NTAs     NTAs // nil: nothing is validated
	// RootZone tells of the local copy of the root zone (nil: the root servers are asked).
	RootZone func() RootZone
}

// Server is the control address.
type Server struct {
	o     Options
	ln    *limited
	http  *http.Server
	calls chan struct{} // as many as there are requests of the API under way
	dumps chan struct{} // of them dumps
}

// New opens the address without serving yet.
func New(o Options) (*Server, error) {
	ln, err := listen(o.Listen)
	if err != nil {
		return nil, err
	}
	return newServer(o, ln), nil
}

func newServer(o Options, ln net.Listener) *Server {
	if o.Clock == nil {
		o.Clock = clock.New()
	}
	s := &Server{o: o, ln: &limited{Listener: ln}, calls: make(chan struct{}, maxCalls), dumps: make(chan struct{}, maxDumps)}
	s.http = &http.Server{
		Handler:           s.guard(s.routes()),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	return s
}

// listen opens an address, or makes a socket.
func listen(where string) (net.Listener, error) {
	path, socket := strings.CutPrefix(where, "unix:")
	if !socket {
		ln, err := net.Listen("tcp", where)
		if err != nil {
			return nil, listenError("tcp", where, err)
		}
		return ln, nil
	}
	if err := removeDeadSocket(path); err != nil {
		return nil, err
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, listenError("unix", path, err)
	}
	// Whoever may write to the socket may flush the cache: user and group, whatever the umask.
	if err := os.Chmod(path, 0o660); err != nil {
		ln.Close()
		return nil, fmt.Errorf("control: %w", err)
	}
	return ln, nil
}

// listenError says which address could not be had and what to do about it.
func listenError(network, address string, err error) error {
	advice := "change control.listen, or set it to \"off\""
	_, port, _ := net.SplitHostPort(address)
	switch {
	case network == "tcp" && errors.Is(err, syscall.EADDRINUSE):
		advice = fmt.Sprintf("another program listens there (find it with: ss -lntp 'sport = :%s'); stop it, or %s", port, advice)
	case network == "unix" && errors.Is(err, syscall.EADDRINUSE):
		advice = "there is a file of that name that is no socket; move it away, or " + advice
	case network == "unix" && errors.Is(err, os.ErrNotExist):
		advice = "its directory does not exist; make it, or " + advice
	case network == "unix" && errors.Is(err, os.ErrPermission), network == "unix" && errors.Is(err, syscall.EROFS):
		advice = "its directory cannot be written to by this user; choose one that can, such as /run/lastgood, or " + advice
	case network == "unix" && errors.Is(err, syscall.ENOSPC):
		advice = "the file system is full; make room, or " + advice
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		advice = "this machine does not have that address; " + advice
	}
	return fmt.Errorf("control: cannot listen on %s: %w: %s", address, bare(err), advice)
}

// bare is the system's error without the address, which is said already.
func bare(err error) error {
	var no syscall.Errno
	if errors.As(err, &no) {
		return no
	}
	return err
}

// removeDeadSocket makes room for a socket that an earlier run left behind: one
// that nobody holds refuses connections. Whatever else comes of it, such as no
// room in the queue of a process that is stopped, means that somebody does.
func removeDeadSocket(path string) error {
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSocket == 0 {
		return nil
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil // it has just gone
	case errors.Is(err, syscall.ECONNREFUSED):
		return os.Remove(path)
	case err == nil:
		conn.Close()
		err = errors.New("somebody answers there")
	}
	return fmt.Errorf("control: %s is in use by another process (%w): stop it (find it with: ss -lxp src %s), remove the file if there is none, or change control.listen",
		path, bare(err), path)
}

// Addr is where the server listens.
func (s *Server) Addr() string {
	if s.ln.Addr().Network() == "unix" {
		return "unix:" + s.ln.Addr().String()
	}
	return s.ln.Addr().String()
}

// Refused counts the connections that were closed because too many were open.
func (s *Server) Refused() uint64 { return s.ln.refused.Load() }

// Serve answers requests until Shutdown.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// shutdownPatience is how long requests in progress may take at a shutdown. A
// scrape takes milliseconds; half a request must not hold up the program's end.
const shutdownPatience = 500 * time.Millisecond

// Shutdown ends the server after the requests in progress, at most until ctx
// ends or they have had their time.
func (s *Server) Shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shutdownPatience)
	defer cancel()
	if err := s.http.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return s.http.Close()
	} else if err != nil {
		return err
	}
	return nil
}

func (s *Server) index(w http.ResponseWriter, _ *http.Request, _ url.Values) error {
	io.WriteString(w, "lastgood control: /metrics /health/live /health/ready /api/v1/openapi.json\n")
	return nil
}

func (s *Server) live(w http.ResponseWriter, _ *http.Request, _ url.Values) error {
	io.WriteString(w, "alive\n")
	return nil
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request, _ url.Values) error {
	if !s.o.Ready() {
		return problem(http.StatusServiceUnavailable, "not ready: not listening yet, or stopping", "wait")
	}
	io.WriteString(w, "ready\n")
	return nil
}

// metrics serves Prometheus' and OpenMetrics' forms.
func (s *Server) metrics() func(http.ResponseWriter, *http.Request, url.Values) error {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{s.o.Gather}, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	h := promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
	return func(w http.ResponseWriter, r *http.Request, _ url.Values) error {
		h.ServeHTTP(w, r)
		return nil
	}
}
