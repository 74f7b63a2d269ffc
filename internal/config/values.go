package config

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"lastgood/internal/dnsname"
)

// Size is a number of octets.
type Size int64

// Timeout is a duration, or is left to the program to choose.
type Timeout struct {
	Auto  bool
	Fixed time.Duration // when not Auto
}

// unit is a suffix and what it stands for.
type unit struct {
	name  string
	value int64
}

// Units from large to small, as they have to be written.
var (
	timeUnits = []unit{
		{"w", int64(7 * 24 * time.Hour)}, {"d", int64(24 * time.Hour)}, {"h", int64(time.Hour)},
		{"m", int64(time.Minute)}, {"s", int64(time.Second)}, {"ms", int64(time.Millisecond)},
	}
	sizeUnits = []unit{
		{"TiB", 1 << 40}, {"TB", 1e12}, {"GiB", 1 << 30}, {"GB", 1e9},
		{"MiB", 1 << 20}, {"MB", 1e6}, {"KiB", 1 << 10}, {"KB", 1e3}, {"kB", 1e3}, {"B", 1},
	}
)

// Patterns of the JSON schema; the parser is a little stricter (order of
// units, bounds).
const (
	durationPattern = `^([0-9]+(\.[0-9]{1,3})?(w|d|h|ms|m|s))+$`
	sizePattern     = `^[0-9]+(\.[0-9]{1,3})?([KMGT]iB|[kKMGT]?B)$`
)

// parseDuration reads "500ms", "30s", "1h30m", "7d", "1w".
func parseDuration(text string) (time.Duration, *problem) {
	if isNumber(text) {
		return 0, &problem{quote(text) + " has no unit", "write " + text + "s"}
	}
	n, ok := parseUnits(text, timeUnits, len(timeUnits))
	if !ok {
		return 0, &problem{quote(text) + " is no duration", "write a number and a unit (ms, s, m, h, d, w), such as 500ms, 30s or 1h30m"}
	}
	return time.Duration(n), nil
}

// parseSize reads "256MiB", "64KiB", "1GB", "1232B".
func parseSize(text string) (Size, *problem) {
	if isNumber(text) {
		return 0, &problem{quote(text) + " has no unit", "write " + suggestSize(text)}
	}
	n, ok := parseUnits(text, sizeUnits, 1)
	if !ok {
		return 0, &problem{quote(text) + " is no size", "write a number and a unit (B, KiB, MiB, GiB, TiB, kB, MB, GB, TB), such as 256MiB"}
	}
	return Size(n), nil
}

// suggestSize guesses which unit a bare number was meant to have: a plain
// count of octets when it is large, else mebibytes.
func suggestSize(text string) string {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 512 {
		for _, u := range []unit{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
			if n%u.value == 0 {
				return strconv.FormatInt(n/u.value, 10) + u.name
			}
		}
		return text + "B"
	}
	return text + "MiB"
}

// isNumber tells whether the text is a number without a unit.
func isNumber(text string) bool {
	return text != "" && text[0] != '.' && strings.Trim(text, "0123456789.") == ""
}

// parseUnits adds up at least one and at most so many numbers, each with a unit, units from large
// to small. Values beyond int64 are refused.
func parseUnits(text string, units []unit, most int) (int64, bool) {
	total, terms := int64(0), most
	for ; text != ""; terms-- {
		if terms == 0 {
			return 0, false
		}
		end := strings.IndexFunc(text, func(c rune) bool { return (c < '0' || c > '9') && c != '.' })
		if end <= 0 {
			return 0, false
		}
		number, rest := text[:end], text[end:]
		end = strings.IndexAny(rest, "0123456789.")
		if end < 0 {
			end = len(rest)
		}
		i := 0
		for i < len(units) && units[i].name != rest[:end] {
			i++
		}
		if i == len(units) {
			return 0, false
		}
		n, ok := scale(number, units[i].value)
		if !ok || n > math.MaxInt64-total {
			return 0, false
		}
		total += n
		units, text = units[i+1:], rest[end:]
	}
	return total, terms < most
}

// scale multiplies a decimal number of at most three decimals.
func scale(number string, by int64) (int64, bool) {
	whole, decimals, dot := strings.Cut(number, ".")
	if len(whole) > 15 || len(decimals) > 3 || dot && decimals == "" {
		return 0, false
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n > (math.MaxInt64/by)-1 {
		return 0, false
	}
	n *= by
	if decimals != "" {
		f, err := strconv.ParseInt(decimals, 10, 64)
		if err != nil {
			return 0, false
		}
		div := int64(math.Pow10(len(decimals)))
		n += by/div*f + by%div*f/div
	}
	return n, true
}

// parseBool takes true and false, and tells those who write yes or on.
func parseBool(text string) (bool, *problem) {
	switch strings.ToLower(text) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	case "yes", "on", "y", "enabled":
		return false, &problem{quote(text) + " is neither true nor false", "write true"}
	case "no", "off", "n", "disabled":
		return false, &problem{quote(text) + " is neither true nor false", "write false"}
	}
	return false, &problem{quote(text) + " is neither true nor false", "write true or false"}
}

// parseInt takes decimal digits only.
func parseInt(text string) (int, *problem) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || text[0] == '+' {
		return 0, &problem{quote(text) + " is no whole number", "write digits only, such as 50"}
	}
	return int(n), nil
}

// parsePrefix takes a prefix, or an address for that host alone.
func parsePrefix(text string) (netip.Prefix, *problem) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, &problem{quote(text) + " is no address or prefix", `write one such as "192.0.2.0/24" or "2001:db8::1"`}
	}
	if p.Addr().Is4In6() {
		return p, &problem{quote(text) + " is an IPv4 prefix in IPv6 form", "write it in IPv4 form"}
	}
	if p != p.Masked() {
		return p, &problem{quote(text) + " has bits set beyond its length", "write " + strconv.Quote(p.Masked().String())}
	}
	return p, nil
}

// parseName takes a domain name, with or without the final dot.
func parseName(text string) (dnsname.Name, *problem) {
	const remedy = `write one such as "corp.example."`
	if strings.ContainsAny(text, " \t\r\n:") {
		return "", &problem{quote(text) + " is no domain name", remedy}
	}
	name, err := dnsname.Parse(text)
	if err != nil {
		return "", &problem{quote(text) + " is no domain name (" + err.Error() + ")", remedy}
	}
	return name, nil
}

// parseTime takes RFC 3339, and nothing for no time.
func parseTime(text string) (time.Time, *problem) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, &problem{quote(text) + " is no point in time (RFC 3339)", `write one such as "2026-12-01T00:00:00Z"`}
	}
	return t.UTC(), nil
}

// quote shows what the file says, shortened when it is long.
func quote(text string) string {
	const most = 60
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return strconv.Quote(text)
}
