package config

import (
	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
)

var tableLocal = []Option{
	{
		Key: "local-data", Default: `[]`,
		Help:     "Records that are answered from here, in the form of a zone file; they go before the cache, forward and stub zones, and names such as localhost. A first label * stands for all names that do not exist (RFC 4592). Aliases are followed. TTL and class may be left out (3600, IN).",
		Examples: []string{`["printer.corp.example. 300 IN A 192.0.2.9", "*.dev.example. CNAME web.corp.example."]`},
		field:    in(func(c *Config) *[]rrset.Set { return &c.LocalData }),
	},
	{
		Key: "local-zones", Default: `[]`,
		Help:  "What becomes of the names below a zone that local-data does not answer for. Outside of these zones it is transparent.",
		field: in(func(c *Config) *[]LocalZone { return &c.LocalZones }),
	},
	{
		Key: "local-zones[].zone", Required: true,
		Help:     "The zone; the longest that matches counts.",
		Examples: []string{`"corp.example."`},
		field:    in(func(z *LocalZone) *dnsname.Name { return &z.Zone }),
	},
	{
		Key: "local-zones[].type", Required: true,
		Values:   []string{"transparent", "type-transparent", "static", "refuse", "nxdomain", "redirect"},
		Help:     "transparent resolves names that are not listed, type-transparent types of listed names as well; static denies them, refuse refuses them; nxdomain denies all there is; redirect gives every name the records of the zone's own name.",
		Examples: []string{`static`},
		field:    in(func(z *LocalZone) *string { return &z.Type }),
	},
}
