// Package ede names the extended DNS errors (RFC 8914) and carries a failure's
// cause from where it happens to the reply that tells of it. It must not know
// messages, and decides nothing: an error says what happened, not what to do.
package ede

import "strconv"

// Code is an INFO-CODE of the IANA registry "Extended DNS Error Codes".
type Code uint16

// The codes that lastgood uses or shows.
const (
	Other                     Code = 0
	UnsupportedDNSKEYAlg      Code = 1
	UnsupportedDSDigest       Code = 2
	StaleAnswer               Code = 3
	ForgedAnswer              Code = 4
	Indeterminate             Code = 5
	Bogus                     Code = 6
	SignatureExpired          Code = 7
	SignatureNotYetValid      Code = 8
	DNSKEYMissing             Code = 9
	RRSIGsMissing             Code = 10
	NoZoneKeyBit              Code = 11
	NSECMissing               Code = 12
	CachedError               Code = 13
	NotReady                  Code = 14
	Blocked                   Code = 15
	Censored                  Code = 16
	Filtered                  Code = 17
	Prohibited                Code = 18
	StaleNXDOMAIN             Code = 19
	NotAuthoritative          Code = 20
	NotSupported              Code = 21
	NoReachableAuthority      Code = 22
	NetworkError              Code = 23
	InvalidData               Code = 24
	SignatureExpiredBefore    Code = 25
	TooEarly                  Code = 26
	UnsupportedNSEC3Iter      Code = 27
	UnableToConformToPolicy   Code = 28
	Synthesized               Code = 29
	InvalidQueryType          Code = 30
	NegativeTrustAnchorActive Code = 33
)

var names = map[Code]string{
	Other: "Other", UnsupportedDNSKEYAlg: "Unsupported DNSKEY Algorithm",
	UnsupportedDSDigest: "Unsupported DS Digest Type", StaleAnswer: "Stale Answer",
	ForgedAnswer: "Forged Answer", Indeterminate: "DNSSEC Indeterminate", Bogus: "DNSSEC Bogus",
	SignatureExpired: "Signature Expired", SignatureNotYetValid: "Signature Not Yet Valid",
	DNSKEYMissing: "DNSKEY Missing", RRSIGsMissing: "RRSIGs Missing", NoZoneKeyBit: "No Zone Key Bit Set",
	NSECMissing: "NSEC Missing", CachedError: "Cached Error", NotReady: "Not Ready", Blocked: "Blocked",
	Censored: "Censored", Filtered: "Filtered", Prohibited: "Prohibited",
	StaleNXDOMAIN: "Stale NXDOMAIN Answer", NotAuthoritative: "Not Authoritative",
	NotSupported: "Not Supported", NoReachableAuthority: "No Reachable Authority",
	NetworkError: "Network Error", InvalidData: "Invalid Data",
	SignatureExpiredBefore: "Signature Expired before Valid", TooEarly: "Too Early",
	UnsupportedNSEC3Iter:    "Unsupported NSEC3 Iterations Value",
	UnableToConformToPolicy: "Unable to conform to policy", Synthesized: "Synthesized",
	InvalidQueryType: "Invalid Query Type", NegativeTrustAnchorActive: "Negative Trust Anchor",
}

// String is the code's name in the registry, or its number.
func (c Code) String() string {
	if s, ok := names[c]; ok {
		return s
	}
	return "EDE" + strconv.Itoa(int(c))
}

// FailsValidation tells whether the code is of data that may not be believed: what
// is signed wrongly, or not, or not as it should be. Nobody but who validates says so.
func (c Code) FailsValidation() bool {
	switch c {
	case Bogus, SignatureExpired, SignatureNotYetValid, DNSKEYMissing, RRSIGsMissing, NoZoneKeyBit, NSECMissing,
		SignatureExpiredBefore, UnsupportedNSEC3Iter:
		return true
	}
	return false
}

// Error is a failure with the code that a client gets told. ID is four letters
// that stand once in the source, so that a user's report leads to one line;
// Text is short prose for people and names the server and the cause.
type Error struct {
	Code Code
	ID   string
	Text string
	// Zone is whose fault it is that something does not validate, in wire form and
	// lower case; "" of any other failure.
	Zone string
}

// Error gives name, text and ID.
func (e *Error) Error() string {
	if text := e.ExtraText(); text != "" {
		return e.Code.String() + ": " + text
	}
	return e.Code.String()
}

// ExtraText is what goes into the EXTRA-TEXT field: the text and the ID.
func (e *Error) ExtraText() string {
	switch {
	case e.ID == "":
		return e.Text
	case e.Text == "":
		return "[" + e.ID + "]"
	}
	return e.Text + " [" + e.ID + "]"
}
