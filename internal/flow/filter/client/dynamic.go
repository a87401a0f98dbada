package client

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// look is what the name of a machine looks like.
type look int

// The looks.
const (
	own     look = iota // a name that somebody chose
	generic             // made from the address, as providers name servers and lines
	dynamic             // of a line that changes hands
)

// lookOf tells what a name looks like, by its form alone: the labels in front of the domain
// that somebody has registered. Whose domain it is does not matter.
func lookOf(name string, a netip.Addr) look {
	labels := hostPart(strings.ToLower(strings.TrimSuffix(name, ".")))
	if labels == "" {
		return own
	}
	numbered := hasAddress(labels, a)
	line, sure, server := wordsIn(labels)
	switch {
	case server && numbered:
		return generic
	case server:
		return own
	case numbered && line, sure:
		return dynamic
	case numbered:
		return generic
	}
	return own
}

// hostPart is a name without the domain that somebody has registered.
func hostPart(name string) string {
	org, err := publicsuffix.EffectiveTLDPlusOne(name)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(strings.TrimSuffix(name, org), ".")
}

// wordsIn looks for the words that providers put into names. line: the word can be one of a
// line to a home; sure: it is one; server: it is one of a machine that stays.
func wordsIn(labels string) (line, sure, server bool) {
	for word := range strings.FieldsFuncSeq(labels, func(r rune) bool { return r < 'a' || r > 'z' }) {
		switch {
		case isSure(word):
			sure = true
		case isLine(word):
			line = true
		case isServer(word):
			server = true
		}
	}
	return line || sure, sure, server
}

// isSure: nobody calls a mail server by these.
func isSure(word string) bool {
	switch word {
	case "dyn", "dynamic", "dynamicip", "dynip", "dynamik", "dinamico", "dinamica", "dinamic", "dinamik", "dynamique", "dynamisch", "dynamiczny", "dynamisk", "dinamikus",
		"dhcp", "ppp", "pppoe", "pppoa", "dialup", "dialin", "dial", "einwahl", "adsl", "vdsl", "xdsl", "sdsl", "ipoe", "dynpool", "dyndsl", "dsldyn", "dynadsl", "docsis", "catv":
		return true
	}
	return false
}

// isLine: they stand beside the address in names of lines, in the languages of providers;
// by themselves they say nothing.
func isLine(word string) bool {
	switch word {
	case "dsl", "pool", "pools", "cable", "cablemodem", "modem", "client", "clients", "customer", "customers", "cust", "cpe", "user", "users", "subscriber", "subs", "sub", "home",
		"res", "resi", "residential", "residencial", "broadband", "bb", "fttb", "ftth", "fttx", "gpon", "pon", "fiber", "fibre", "fibra", "wifi", "wlan", "wireless", "wimax", "mobile", "movil", "gprs",
		"lte", "umts", "hsdpa", "nat", "cgn", "cgnat", "bras", "ip", "ipv", "abo", "abonne", "abonnes", "ligne", "kunde", "kunden", "kund", "klant", "klanten", "cliente", "clientes", "clienti",
		"usuario", "usuarios", "utente", "utenti", "assinante", "abonent", "abonents", "abone", "klient", "asiakas", "bredband", "breitband", "bandalarga", "internet", "access", "telecom", "line", "lines", "node", "pc", "host":
		return true
	}
	return false
}

// isServer: somebody has seen to it that the machine stays where it is.
func isServer(word string) bool {
	switch word {
	case "static", "statip", "fixed", "fix", "fixe", "fixo", "fijo", "statique", "statisch", "statica", "estatico", "estatica", "fest", "feste", "business", "biz", "pro", "corp", "entreprise", "empresas", "azienda",
		"mail", "smtp", "mx", "mta", "mailer", "relay", "out", "outbound", "send", "server", "srv", "serveur", "vps", "vds", "dedicated", "dedi", "cloud", "compute", "colo", "rdns", "ns", "web", "www":
		return true
	}
	return false
}

// hasAddress tells whether a name is made from an address: its numbers in order or turned
// around, with or without zeros, or in hexadecimal.
func hasAddress(labels string, a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsValid() {
		return false
	}
	if !a.Is4() {
		return hasAddress6(labels, a)
	}
	b := a.As4()
	return hasNumbers(labels, b) || strings.Contains(labels, fmt.Sprintf("%02x%02x%02x%02x", b[0], b[1], b[2], b[3])) ||
		strings.Contains(labels, fmt.Sprintf("%03d%03d%03d%03d", b[0], b[1], b[2], b[3])) ||
		strings.Contains(labels, fmt.Sprintf("%03d%03d%03d%03d", b[3], b[2], b[1], b[0]))
}

// hasNumbers tells whether at least three numbers of an address stand in a name side by
// side, from either end: many providers leave out the first, which is their own.
func hasNumbers(labels string, b [4]byte) bool {
	var found []int
	for part := range strings.FieldsFuncSeq(labels, func(r rune) bool { return r < '0' || r > '9' }) {
		n, err := strconv.Atoi(part)
		if err != nil || n > 255 {
			n = -1
		}
		found = append(found, n)
	}
	for at := range found {
		if runs(found[at:], int(b[0]), int(b[1]), int(b[2])) || runs(found[at:], int(b[1]), int(b[2]), int(b[3])) ||
			runs(found[at:], int(b[3]), int(b[2]), int(b[1])) || runs(found[at:], int(b[2]), int(b[1]), int(b[0])) {
			return true
		}
	}
	return false
}

func runs(found []int, want ...int) bool {
	if len(found) < len(want) {
		return false
	}
	for i, w := range want {
		if found[i] != w {
			return false
		}
	}
	return true
}

// hasAddress6 looks for the last four groups of an address, as the machine's own part, and
// for all of it.
func hasAddress6(labels string, a netip.Addr) bool {
	full := a.StringExpanded()
	groups := strings.Split(full, ":")
	own := strings.Join(groups[4:], "")
	if strings.Trim(own, "0") == "" || len(strings.TrimLeft(own, "0")) < 8 {
		own = strings.Join(groups, "") // ::1 and its like tell nothing alone
	}
	plain := strings.NewReplacer("-", "", ".", "", "_", "").Replace(labels)
	return strings.Contains(plain, own) || strings.Contains(plain, turned(strings.Join(groups, "")))
}

func turned(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}
