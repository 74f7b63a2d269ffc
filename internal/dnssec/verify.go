package dnssec

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/binary"
	"fmt"
	"math/big"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// Verified is what a good signature says of an RRset.
type Verified struct {
	Tag     uint16
	TTL     uint32    // the most that the set may live, seconds (RFC 4035 §5.3.3)
	Expires time.Time // of the signature
	// Encloser is how many labels the name has that a wildcard was expanded below,
	// -1 when the set's name is its own (RFC 4035 §5.3.2).
	Encloser int
}

// Verifier verifies the sets of one zone with its keys.
type Verifier struct {
	Zone   dnsname.Name
	Keys   []*Key
	Now    time.Time
	Policy *Policy
	Budget *Budget
}

// Verify looks for one good signature of a set: one is enough (RFC 6840 §5.11).
// When there is none, the error is that of the signature that came closest. It
// gives up after Limits.PerSet vain verifications, and when the budget is spent.
func (v *Verifier) Verify(set *rrset.Set) (Verified, *ede.Error) {
	s := signed{verifier: v, set: set, vain: v.Budget.limits.PerSet}
	s.fail(noSignature, ede.RRSIGsMissing, "NSIG", "%s %s has no signature of %s", set.Name, set.Type, v.Zone)
	for rdata := range set.Sigs.All() {
		sig, err := ReadSignature(rdata)
		if err != nil || sig.Covered != set.Type || !v.Policy.Algorithm(sig.Algorithm) {
			continue
		}
		if good, ok := s.try(&sig); ok {
			return good, nil
		}
		if s.closest >= gaveUp {
			break
		}
	}
	return Verified{}, s.err
}

// How close a signature came to being good, so that the most telling failure is
// the one that is told.
const (
	noSignature = iota
	wrongSigner
	noKey
	notNow
	wrong
	gaveUp
)

// signed is a set whose signatures are tried.
type signed struct {
	verifier *Verifier
	set      *rrset.Set
	records  rrset.Packed // in canonical form and order, made with the first
	vain     int          // verifications left
	closest  int
	err      *ede.Error
}

func (s *signed) fail(closeness int, code ede.Code, id, format string, args ...any) {
	if s.err == nil || closeness > s.closest {
		s.closest, s.err = closeness, &ede.Error{Code: code, ID: id, Text: fmt.Sprintf(format, args...)}
	}
}

// try verifies one signature with each key that it may be of (RFC 4035 §5.3.1).
func (s *signed) try(sig *Signature) (Verified, bool) {
	v, set := s.verifier, s.set
	labels := set.Name.Labels()
	if set.Name.FirstLabel() == "*" {
		labels--
	}
	switch {
	case sig.Signer != v.Zone || !set.Name.Under(sig.Signer):
		s.fail(wrongSigner, ede.Bogus, "SIGN", "signature of %s %s is by %s, not by %s", set.Name, set.Type, sig.Signer, v.Zone)
		return Verified{}, false
	case sig.Labels > labels || sig.Labels < v.Zone.Labels():
		s.fail(wrongSigner, ede.Bogus, "LABL", "signature of %s %s by key %d of %s is of a name of %d labels", set.Name, set.Type, sig.Tag, v.Zone, sig.Labels)
		return Verified{}, false
	case !s.inTime(sig):
		return Verified{}, false
	}
	return s.tryKeys(sig, labels)
}

// tryKeys verifies one signature that could be good.
func (s *signed) tryKeys(sig *Signature, labels int) (Verified, bool) {
	v, set := s.verifier, s.set
	tried := 0
	var message []byte
	for _, k := range v.Keys {
		if k.Tag != sig.Tag || k.Algorithm != sig.Algorithm || !k.Usable() || k.IsRevoked() && set.Type != wire.TypeDNSKEY {
			continue
		}
		held, ok := false, false
		if tried++; tried <= v.Budget.limits.PerTag && s.vain > 0 {
			held, ok = v.Budget.signature(k.slow())
		}
		if !ok {
			s.err, s.closest = TooMuch(fmt.Sprintf("signatures of %s %s by keys %d of %s", set.Name, set.Type, sig.Tag, v.Zone)), gaveUp
			return Verified{}, false
		}
		good := func() bool {
			defer v.Budget.done(held)
			if message == nil {
				message = s.message(sig)
			}
			return k.verifies(sig, message)
		}()
		if good {
			return s.good(sig, labels), true
		}
		v.Budget.vain.Add(1)
		s.vain--
	}
	made := moment(sig.Inception, v.Now)
	if tried == 0 {
		s.fail(noKey, ede.DNSKEYMissing, "NKEY", "%s has no key %d of algorithm %s, which signed %s %s as of %s", v.Zone, sig.Tag, sig.Algorithm, set.Name, set.Type, made)
	} else {
		s.fail(wrong, ede.Bogus, "BSIG", "signature of %s %s by key %d of %s is wrong, as of %s", set.Name, set.Type, sig.Tag, v.Zone, made)
	}
	return Verified{}, false
}

// inTime tells whether a signature is valid now (RFC 4035 §5.3.1).
func (s *signed) inTime(sig *Signature) bool {
	set, now := s.set, s.verifier.Now
	at := uint32(now.Unix())
	if !after(sig.Inception, sig.Expires) && !after(at, sig.Expires) && !after(sig.Inception, at) {
		return true
	}
	what := fmt.Sprintf("signature of %s %s by key %d of %s", set.Name, set.Type, sig.Tag, sig.Signer)
	switch {
	case after(sig.Inception, sig.Expires):
		s.fail(notNow, ede.SignatureExpiredBefore, "SXBV", "%s expired before it is valid: %s, and %s", what, moment(sig.Expires, now), moment(sig.Inception, now))
	case after(at, sig.Expires):
		s.fail(notNow, ede.SignatureExpired, "SEXP", "%s expired %s", what, moment(sig.Expires, now))
	default:
		s.fail(notNow, ede.SignatureNotYetValid, "SNYV", "%s is not valid before %s", what, moment(sig.Inception, now))
	}
	return false
}

func (s *signed) good(sig *Signature, labels int) Verified {
	now := s.verifier.Now
	left := sig.Expires - uint32(now.Unix())
	out := Verified{
		Tag: sig.Tag, TTL: min(sig.TTL, left), Encloser: -1,
		Expires: now.Add(time.Duration(left) * time.Second),
	}
	if sig.Labels < labels {
		out.Encloser = sig.Labels
	}
	return out
}

// message is what a signature is of (RFC 4034 §3.1.8.1).
func (s *signed) message(sig *Signature) []byte {
	if s.records == nil {
		s.records = rrset.Canonical(s.set.Type, s.set.Data)
	}
	owner := s.set.Name
	if n := owner.Labels(); sig.Labels < n && owner.FirstLabel() != "*" || sig.Labels < n-1 {
		owner, _ = owner.Suffix(sig.Labels).Prepend("*") // shorter than the name, which fits
	}
	const fixed = 10
	m := make([]byte, 0, headLen+len(sig.Signer)+len(s.records)+s.records.Len()*(len(owner)+fixed-2))
	m = append(append(m, sig.head...), sig.Signer...)
	for rd := range s.records.All() {
		m = append(m, owner...)
		m = binary.BigEndian.AppendUint16(m, uint16(s.set.Type))
		m = binary.BigEndian.AppendUint16(m, uint16(wire.ClassIN))
		m = binary.BigEndian.AppendUint32(m, sig.TTL)
		m = binary.BigEndian.AppendUint16(m, uint16(len(rd)))
		m = append(m, rd...)
	}
	return m
}

// verifies does what cannot be had cheaper.
func (k *Key) verifies(sig *Signature, message []byte) bool {
	kind := algorithms[k.Algorithm].hash
	digest := message
	if kind != 0 {
		h := kind.New()
		h.Write(message)
		digest = h.Sum(nil)
	}
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		return verifiesRSA(public, kind, digest, sig.Value)
	case *ecdsa.PublicKey:
		return verifiesECDSA(public, digest, sig.Value)
	case ed25519.PublicKey:
		return ed25519.Verify(public, digest, sig.Value)
	}
	return false
}

// verifiesECDSA is RFC 6605 §4: both numbers, as long as the curve's.
func verifiesECDSA(k *ecdsa.PublicKey, digest, value []byte) bool {
	n := (k.Curve.Params().BitSize + 7) / 8
	if len(value) != 2*n {
		return false
	}
	return ecdsa.Verify(k, digest, new(big.Int).SetBytes(value[:n]), new(big.Int).SetBytes(value[n:]))
}
