// Package control serves the control address: metrics, liveness and readiness
// over HTTP. It sees the rest of the program only through the functions that
// it is given.
//
// A web page that a browser on the same machine shows must not reach it
// (RFC 6454's origins do not stop requests), so requests that name a foreign
// host or origin are refused.
package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
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
}

// Server is the control address.
type Server struct {
	o    Options
	ln   net.Listener
	http *http.Server
}

// New opens the address without serving yet.
func New(o Options) (*Server, error) {
	network, address := "tcp", o.Listen
	if path, ok := strings.CutPrefix(o.Listen, "unix:"); ok {
		network, address = "unix", path
		if err := removeDeadSocket(path); err != nil {
			return nil, err
		}
	}
	ln, err := net.Listen(network, address)
	if err != nil {
		return nil, listenError(network, address, err)
	}
	s := &Server{o: o, ln: ln}
	s.http = &http.Server{
		Handler:           s.guard(s.routes()),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	return s, nil
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

// removeDeadSocket makes room for a socket that an earlier run left behind,
// and refuses when somebody still answers on it.
func removeDeadSocket(path string) error {
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSocket == 0 {
		return nil
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
		return fmt.Errorf("control: %s is in use by another process", path)
	}
	return os.Remove(path)
}

// Addr is where the server listens.
func (s *Server) Addr() string {
	if s.ln.Addr().Network() == "unix" {
		return "unix:" + s.ln.Addr().String()
	}
	return s.ln.Addr().String()
}

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

func (s *Server) routes() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{s.o.Gather}, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("GET /health/live", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "alive\n") })
	mux.HandleFunc("GET /health/ready", func(w http.ResponseWriter, _ *http.Request) {
		if !s.o.Ready() {
			http.Error(w, "not ready: not listening yet, or stopping", http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "ready\n")
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "lastgood control: /metrics /health/live /health/ready\n")
	})
	return mux
}

// guard refuses what does not come from an operator: wrong token, foreign Host
// (DNS rebinding) or Origin (a web page's script).
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case s.o.Token != "" && !sameToken(r.Header.Get("Authorization"), s.o.Token):
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "a bearer token is required (control.token-file)", http.StatusUnauthorized)
		case s.o.Token == "" && !localHost(r.Host):
			http.Error(w, "unknown host "+r.Host+": use an address or localhost", http.StatusForbidden)
		case foreignOrigin(r):
			http.Error(w, "requests from web pages of other origins are refused", http.StatusForbidden)
		default:
			w.Header().Set("X-Content-Type-Options", "nosniff")
			next.ServeHTTP(w, r)
		}
	})
}

// localHost tells whether a Host header names an address or this machine, and
// not some name that a stranger's DNS points here.
func localHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	_, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil || name == "localhost" || name == ""
}

func foreignOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	u, err := url.Parse(origin)
	return err != nil || u.Host != r.Host
}
