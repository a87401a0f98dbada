package smtp

import "facteur/internal/mail/address"

// Etrn is what an ETRN command names (RFC 1985 §5).
type Etrn struct {
	// Domain is in its canonical form.
	Domain string
	// Subdomains asks for all below it too ("@domain").
	Subdomains bool
	// Queue is the name after "#", which only the server understands; Domain is ""
	// then.
	Queue string
}

var replyEtrnSyntax = NewReply(501, "5.5.4", "Syntax: ETRN domain")

// ParseEtrn reads the arguments of ETRN.
func ParseEtrn(args string) (e Etrn, bad *Reply) {
	if args == "" {
		return e, replyEtrnSyntax
	}
	switch args[0] {
	case '#':
		if len(args) == 1 || !isASCII(args) {
			return e, replyEtrnSyntax
		}
		return Etrn{Queue: args[1:]}, nil
	case '@':
		e.Subdomains = true
		args = args[1:]
	}
	domain, err := address.ParseDomain(args)
	if err != nil {
		return Etrn{}, replyEtrnSyntax
	}
	e.Domain = domain
	return e, nil
}
