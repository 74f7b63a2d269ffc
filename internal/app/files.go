package app

import (
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"lastgood/internal/authority"
	"lastgood/internal/cache"
	"lastgood/internal/config"
)

//go:embed root.hints
var builtinHints string

// rootHints reads the root's name servers from a file, or the built-in ones.
func rootHints(path string) ([]cache.NameServer, error) {
	text := builtinHints
	if path == "" {
		path = "built-in root hints"
	} else {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("recursion.root-hints: %w", err)
		}
		text = string(data)
	}
	hints, err := authority.ReadHints(path, strings.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("recursion.root-hints: %w", err)
	}
	return hints, nil
}

// cookieSecrets reads the secrets that servers behind one address share, one
// of 32 hexadecimal digits a line; the first makes cookies, all are accepted
// (RFC 9018 §5). Without a file the listener makes one of its own.
func cookieSecrets(s config.Server) ([][16]byte, error) {
	if s.CookieSecretFile == "" {
		return nil, nil
	}
	data, err := os.ReadFile(s.CookieSecretFile)
	if err != nil {
		return nil, fmt.Errorf("server.cookie-secret-file: %w", err)
	}
	var secrets [][16]byte
	for i, line := range strings.Split(string(data), "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		b, err := hex.DecodeString(line)
		if err != nil || len(b) != 16 {
			return nil, fmt.Errorf("server.cookie-secret-file: %s:%d: a secret is 32 hexadecimal digits (make one with `openssl rand -hex 16`)", s.CookieSecretFile, i+1)
		}
		secrets = append(secrets, [16]byte(b))
	}
	if len(secrets) == 0 {
		return nil, fmt.Errorf("server.cookie-secret-file: %s holds no secret (make one with `openssl rand -hex 16`)", s.CookieSecretFile)
	}
	return secrets, nil
}

// mostSmall is how much of a file of settings or of state is read: more than any of
// them may have, so that whoever reads it knows that it is too large.
const mostSmall = 2 << 20

// readSmall reads a file that is to be small.
func readSmall(path string) ([]byte, error) { return readBounded(path, mostSmall) }

// readBounded reads so much of a file at most. What is none, such as a pipe, could
// keep whoever opens it for ever.
func readBounded(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = &os.PathError{Op: "read", Path: path, Err: errors.New("that is no file")}
	}
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}
