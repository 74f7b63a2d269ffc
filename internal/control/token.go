package control

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"os"
	"strings"
)

// ReadToken reads a token from a file: its first line, at least 16 characters.
func ReadToken(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("control.token-file: %w", err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	token := strings.TrimSpace(line)
	if len(token) < 16 {
		return "", fmt.Errorf("control.token-file: %s: the first line must be a token of at least 16 characters", path)
	}
	return token, nil
}

// Exposed tells whether a file, of a token, can be read or written by users who
// are neither its owner nor of its group.
func Exposed(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().Perm()&0o006 != 0
}

// sameToken compares in constant time, lengths included. The scheme's case does
// not matter (RFC 9110 §11.1).
func sameToken(header, token string) bool {
	scheme, given, _ := strings.Cut(header, " ")
	a, b := sha256.Sum256([]byte(strings.TrimLeft(given, " "))), sha256.Sum256([]byte(token))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
