package queue

import (
	"net/url"
	"strconv"
	"time"

	"facteur/internal/mail/smtp"
)

// The column options holds what most mail has none of, as the values of a form:
// "by=1795400000000000&byret=1&envid=QQ314159". What comes from strangers is data
// in it, encoded (REL-008). What is not known here is passed over: a newer program
// that wrote what an older one must not miss gives the tables a new version, which
// the older one refuses.
//
//	item       ret       "full" or "hdrs" (RFC 3461 §4.3)
//	           envid     ENVID, decoded (RFC 3461 §4.4)
//	           tls       "required" (RFC 8689)
//	           priority  -9 to 9 (RFC 6710)
//	           release   microseconds since 1970 (RFC 4865)
//	           by        microseconds since 1970 (RFC 2852)
//	           byret     "1": return it after that
//	           bytrace   "1": each hop reports
//	           forwarded by how many its recipients have grown since, by being sent on
//	recipient  notify    a sum: 1 success, 2 failure, 4 delay, 8 never (RFC 3461 §4.1)
//	           orcpt     the address of ORCPT, decoded (RFC 3461 §4.2)
//	           otype     its type
//	           sender    the reverse-path for this recipient, where it is not the item's
//	           owned     "1": that is the owner of a list
//	           from      the address here from which it goes on to another machine
//	           folder    the mailbox that it is put into; an older program puts it into INBOX
//	           expired   "1": a person has given it up
//	           category  for which it is in quarantine
//	           released  microseconds since 1970: it was in quarantine until then
//	           passed    an account, or a Unix user, that has sent it on; any number of them

// plain tells whether the item has no options at all.
func (it *Item) plain() bool {
	return it.Ret == smtp.RetUnset && it.EnvelopeID == "" && !it.RequireTLS && it.Priority == 0 &&
		it.Release.IsZero() && it.By.At.IsZero() && it.forwarded == 0
}

// options is the column of an item.
func (it *Item) options() string {
	if it.plain() {
		return ""
	}
	v := url.Values{}
	set(v, "ret", retNames[it.Ret])
	set(v, "envid", it.EnvelopeID)
	set(v, "tls", when(it.RequireTLS, "required"))
	set(v, "priority", when(it.Priority != 0, strconv.Itoa(it.Priority)))
	set(v, "release", micros(it.Release))
	set(v, "by", micros(it.By.At))
	set(v, "byret", when(it.By.Return, "1"))
	set(v, "bytrace", when(it.By.Trace, "1"))
	set(v, "forwarded", when(it.forwarded > 0, strconv.Itoa(it.forwarded)))
	return v.Encode()
}

// setOptions reads what options wrote.
func (it *Item) setOptions(column string) {
	if column == "" {
		return
	}
	v, _ := url.ParseQuery(column) // what can't be read is as if it were not there
	for ret, name := range retNames {
		if name != "" && v.Get("ret") == name {
			it.Ret = ret
		}
	}
	it.EnvelopeID = v.Get("envid")
	it.RequireTLS = v.Get("tls") == "required"
	it.Priority, _ = strconv.Atoi(v.Get("priority"))
	it.forwarded, _ = strconv.Atoi(v.Get("forwarded"))
	it.Release = instant(v.Get("release"))
	it.By = Deadline{At: instant(v.Get("by")), Return: v.Get("byret") == "1", Trace: v.Get("bytrace") == "1"}
}

var retNames = map[smtp.Ret]string{smtp.RetUnset: "", smtp.RetFull: "full", smtp.RetHeaders: "hdrs"}

// options is the column of a recipient.
func (r *Recipient) options() string {
	if r.Notify == 0 && r.ORcpt == (smtp.Original{}) && !r.Expired && r.Sender == nil && r.Forwarder.IsNull() && len(r.Passed) == 0 && r.Folder == "" && r.Quarantine == "" && r.Released.IsZero() {
		return ""
	}
	v := url.Values{}
	set(v, "notify", when(r.Notify != 0, strconv.Itoa(int(r.Notify))))
	set(v, "otype", r.ORcpt.Type)
	set(v, "orcpt", r.ORcpt.Address)
	set(v, "expired", when(r.Expired, "1"))
	set(v, "from", mailbox(r.Forwarder))
	set(v, "folder", r.Folder)
	set(v, "category", r.Quarantine)
	set(v, "released", micros(r.Released))
	if r.Sender != nil {
		v.Set("sender", mailbox(*r.Sender)) // empty for the null path
		set(v, "owned", when(r.Owned, "1"))
	}
	if len(r.Passed) > 0 {
		v["passed"] = r.Passed
	}
	return v.Encode()
}

// setOptions reads what options wrote.
func (r *Recipient) setOptions(column string) {
	if column == "" {
		return
	}
	v, _ := url.ParseQuery(column)
	notify, _ := strconv.ParseUint(v.Get("notify"), 10, 8)
	r.Notify = smtp.Notify(notify)
	r.ORcpt = smtp.Original{Type: v.Get("otype"), Address: v.Get("orcpt")}
	r.Expired = v.Get("expired") == "1"
	r.Passed = v["passed"]
	r.Forwarder = parseMailbox(v.Get("from"))
	r.Folder = v.Get("folder")
	r.Quarantine, r.Released = v.Get("category"), instant(v.Get("released"))
	if v.Has("sender") {
		sender := parseMailbox(v.Get("sender"))
		r.Sender, r.Owned = &sender, v.Get("owned") == "1"
	}
}

func set(v url.Values, key, value string) {
	if value != "" {
		v.Set(key, value)
	}
}

func when(is bool, text string) string {
	if is {
		return text
	}
	return ""
}

func micros(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.UnixMicro(), 10)
}

func instant(text string) time.Time {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMicro(n)
}
