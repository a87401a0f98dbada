package sasl

import (
	"crypto"
	_ "crypto/sha512" // for certificates that are signed with it
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
)

// The types of channel bindings.
const (
	TLSExporter       = "tls-exporter"         // RFC 9266
	TLSServerEndPoint = "tls-server-end-point" // RFC 5929 §4
)

// Binding is what both ends of a TLS connection, and nobody in between, know of it.
type Binding struct {
	Type string
	Data []byte
}

// Exporter is the binding by exported keying material. There is none in TLS 1.2:
// without the extended master secret it is not bound to the connection, and the
// clients of that age know tls-unique only, which Go does not give.
func Exporter(state *tls.ConnectionState) (b Binding, ok bool) {
	if state == nil || state.Version < tls.VersionTLS13 {
		return Binding{}, false
	}
	data, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
	return Binding{TLSExporter, data}, err == nil
}

// EndPoint is the binding by the server's certificate: its hash, with the function
// of its signature, but none older than SHA-256.
func EndPoint(c *x509.Certificate) Binding {
	h := crypto.SHA256.New()
	switch c.SignatureAlgorithm {
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		h = crypto.SHA384.New()
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		h = crypto.SHA512.New()
	}
	h.Write(c.Raw)
	return Binding{TLSServerEndPoint, h.Sum(nil)}
}

// binds says whether data is one of the bindings of a type.
func (j Judge) binds(kind string, data []byte) bool {
	found := 0
	for _, b := range j.Bindings {
		if b.Type == kind {
			found |= subtle.ConstantTimeCompare(b.Data, data)
		}
	}
	return found == 1
}

// knowsBinding says whether there is a binding of a type.
func (j Judge) knowsBinding(kind string) bool {
	for _, b := range j.Bindings {
		if b.Type == kind {
			return true
		}
	}
	return false
}
