package transport

// Table says which mail takes which way. It is not changed once it is in use; a nil
// Table sends mail for elsewhere to the MX hosts of its domain.
type Table struct {
	usual, local *Transport
}

// Rules are what a Table is made of.
type Rules struct {
	// Usual takes what no entry says otherwise about; nil is plain SMTP.
	Usual *Transport
}

// NewTable makes a Table.
func NewTable(r Rules) *Table {
	t := &Table{usual: r.Usual, local: plainLocal}
	if t.usual == nil {
		t.usual = plainSMTP
	}
	return t
}

// The ways of a house without settings. They are constants.
var (
	plainSMTP  = &Transport{Name: "smtp", Kind: SMTP}
	plainLocal = &Transport{Name: "local", Kind: Mailbox}
)

// Choose is the way for a recipient. A preset for the hosts of its domain may change
// it: see ForMX.
func (t *Table) Choose(m Mail) Choice {
	usual, local := plainSMTP, plainLocal
	if t != nil {
		usual, local = t.usual, t.local
	}
	if m.Here {
		return Choice{Transport: local, NextHop: m.Domain, Fixed: true}
	}
	return Choice{Transport: usual, NextHop: m.Domain, Relays: usual.Relays, Text: usual.Text}
}

// ForMX is the choice for a domain whose best mail hosts these are.
func (t *Table) ForMX(c Choice, hosts []string) Choice { return c }
