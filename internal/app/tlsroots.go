package app

import (
	"crypto/x509"
	"fmt"
	"os"

	"lastgood/internal/config"
	"lastgood/internal/dnsname"
)

// tlsRoots reads who may sign the certificates of the resolvers of each forward
// zone that does not leave it to the system. A file that several zones name is
// read once, so that they share connections.
func tlsRoots(c *config.Config) (map[dnsname.Name]*x509.CertPool, error) {
	files := map[string]*x509.CertPool{}
	roots := map[dnsname.Name]*x509.CertPool{}
	for _, f := range c.Forward {
		if f.TLSCA == "" {
			continue
		}
		if files[f.TLSCA] == nil {
			text, err := os.ReadFile(f.TLSCA)
			if err != nil {
				return nil, fmt.Errorf("forward[].tls-ca: %w", err)
			}
			pool := x509.NewCertPool()
			if !pool.AppendCertsFromPEM(text) {
				return nil, fmt.Errorf("forward[].tls-ca: %s holds no certificate (a line says -----BEGIN CERTIFICATE-----)", f.TLSCA)
			}
			files[f.TLSCA] = pool
		}
		roots[f.Zone] = files[f.TLSCA]
	}
	return roots, nil
}
