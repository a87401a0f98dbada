package imap

// The arguments of the commands of RFC 9208.
type (
	// QuotaRoot is GETQUOTA: the name of a quota root.
	QuotaRoot string
	// SetQuota is SETQUOTA: new limits of a quota root.
	SetQuota struct {
		Root   string
		Limits []QuotaLimit
	}
	// QuotaLimit is a resource, in upper case, and its limit: STORAGE in units of 1024
	// octets, MESSAGE in messages.
	QuotaLimit struct {
		Resource string
		Limit    int64
	}
)

// maxQuotaLimits bounds the resources of one SETQUOTA; there are four that have a name.
const maxQuotaLimits = 16

// quotaGrammar is the commands about quotas (RFC 9208 §4.1).
func (d *Decoder) quotaGrammar(name string) (read func() any, known bool) {
	switch name {
	case "GETQUOTA":
		return func() any { return QuotaRoot(d.astring()) }, true
	case "GETQUOTAROOT":
		return func() any { return Mailbox(d.mailbox()) }, true
	case "SETQUOTA":
		return d.setQuota, true
	}
	return nil, false
}

func (d *Decoder) setQuota() any {
	q := SetQuota{Root: d.astring()}
	d.space()
	if d.accept('(') { // unlike other lists it may be empty
		if d.accept(')') {
			return q
		}
		for {
			l := QuotaLimit{Resource: d.word()}
			d.space()
			l.Limit = d.number()
			if q.Limits = append(q.Limits, l); len(q.Limits) > maxQuotaLimits {
				d.fail("Too many resources")
			}
			if d.err != nil || !d.accept(' ') {
				break
			}
		}
	} else {
		d.expect('(')
	}
	d.expect(')')
	return q
}
