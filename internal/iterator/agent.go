package iterator

import (
	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// agentOf reads whom a server wants to hear of errors in its zones (RFC 9567 §5), ""
// for nobody: the root stands for that as well.
func agentOf(v wire.View) dnsname.Name {
	e, ok := v.EDNS()
	if !ok {
		return ""
	}
	data, ok := e.Option(wire.OptionReportChannel)
	if !ok {
		return ""
	}
	name, err := dnsname.FromWire(data)
	if err != nil || name.IsRoot() {
		return ""
	}
	return name
}
