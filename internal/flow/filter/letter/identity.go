package letter

import (
	"strings"

	"golang.org/x/net/idna"

	"facteur/internal/mail/address"
	"facteur/internal/mail/content"
	"facteur/internal/mail/message"
)

// identity looks at whom the letter claims to be from.
func (v *view) identity(n *notes) {
	list := message.ParseAddresses(v.Header.Get("From"))
	if len(list) == 0 || len(list) > 10 {
		return
	}
	from := list[0]
	domain := canonical(from.Host)
	v.name(n, from.DisplayName(), domain)
	v.replies(n, domain)
	v.looks(n, domain)
}

// canonical is a domain in the one form; "" if it is none.
func canonical(host string) string {
	d, err := address.CanonicalDomain(host)
	if err != nil {
		return ""
	}
	return d
}

// maxFriendly is how much of a name is looked at, in bytes.
const maxFriendly = 500

// name looks at what stands before the address, which is all that many programs show.
func (v *view) name(n *notes, name, domain string) {
	name, _ = cutText(name, maxFriendly)
	if name == "" {
		return
	}
	for w := range strings.FieldsSeq(name) {
		if content.MixedScripts(w) {
			n.add(nameMixed, 1, "The author's name mixes scripts within a word: %s.", quote(name))
		}
	}
	if v.ours(domain) {
		return // whether that is true, DMARC says
	}
	listed := v.Header.Count("List-Id") > 0 // "name@example.org via List" is how lists live with DMARC
	if shown := addressIn(name); shown != "" && !listed && registered(shown) != registered(domain) {
		if v.ours(shown) {
			n.add(nameOurs, 1, "The author calls himself %s, an address of ours, and is at %s.", quote(name), domain)
		} else {
			n.add(nameAddress, 1, "The author calls himself %s, and is at %s.", quote(name), domain)
		}
		return
	}
	if listed {
		return
	}
	if own := v.person(name); own != "" {
		n.add(nameOurs, 1, "The author calls himself %s, as %s of ours, and is at %s.", quote(name), own, domain)
		return
	}
	if b := brandOf(name); b != "" && !strings.Contains(strings.ReplaceAll(domain, "-", ""), b) && !v.proven() {
		n.add(nameBrand, 1, "The author calls himself %s, and is at %s.", quote(name), domain)
	}
}

// person is the address of ours that somebody claims by name: of a user, or of the house.
func (v *view) person(name string) string {
	folded := strings.ToLower(strings.TrimSpace(name))
	for _, d := range v.own {
		for w := range strings.FieldsSeq(folded) {
			if strings.Trim(w, "()[]<>.,:;'\"") == d {
				return d
			}
		}
	}
	if v.house.Person == nil {
		return ""
	}
	return v.house.Person(name)
}

// cutText cuts at a whole character.
func cutText(s string, max int) (string, bool) {
	if len(s) <= max {
		return s, false
	}
	return strings.ToValidUTF8(s[:max], ""), true
}

// addressIn is the domain of the address that a name shows; "" if it shows none.
func addressIn(name string) string {
	at := strings.LastIndexByte(name, '@')
	if at < 1 || at+3 > len(name) {
		return ""
	}
	rest := name[at+1:]
	if end := strings.IndexFunc(rest, func(r rune) bool { return strings.ContainsRune(" \t>)]\"',;:|/", r) }); end >= 0 {
		rest = rest[:end]
	}
	if d := canonical(strings.TrimRight(rest, ".")); strings.Contains(d, ".") {
		return d
	}
	return ""
}

// brands are firms and offices whose letters are forged most often in France and the
// world: words of their names, and what stands in their domains.
var brands = [...]struct{ name, domain string }{
	{"paypal", "paypal"}, {"amazon", "amazon"}, {"netflix", "netflix"}, {"microsoft", "microsoft"}, {"docusign", "docusign"}, {"dropbox", "dropbox"},
	{"linkedin", "linkedin"}, {"facebook", "facebook"}, {"instagram", "instagram"}, {"whatsapp", "whatsapp"}, {"dhl", "dhl"}, {"fedex", "fedex"}, {"chronopost", "chronopost"},
	{"colissimo", "laposte"}, {"mondial relay", "mondialrelay"}, {"la banque postale", "labanquepostale"}, {"crédit agricole", "creditagricole"}, {"credit agricole", "creditagricole"},
	{"société générale", "societegenerale"}, {"bnp paribas", "bnpparibas"}, {"caisse d'epargne", "caisseepargne"}, {"boursorama", "boursorama"}, {"assurance maladie", "ameli"},
	{"ameli", "ameli"}, {"impots.gouv", "gouv"}, {"antai", "gouv"}, {"ovhcloud", "ovh"}, {"coinbase", "coinbase"}, {"binance", "binance"}, {"metamask", "metamask"},
	{"usps", "usps"}, {"dpd", "dpd"}, {"gls", "gls"}, {"postnl", "postnl"}, {"poste italiane", "poste"}, {"inpost", "inpost"},
	{"crédit mutuel", "creditmutuel"}, {"banque populaire", "banquepopulaire"}, {"sparkasse", "sparkasse"}, {"intesa sanpaolo", "intesasanpaolo"}, {"bbva", "bbva"}, {"rabobank", "rabobank"},
	{"n26", "n26"}, {"mon compte formation", "moncompteformation"}, {"carte vitale", "ameli"}, {"leboncoin", "leboncoin"}, {"vinted", "vinted"}, {"spotify", "spotify"}, {"disney+", "disney"},
	{"mcafee", "mcafee"}, {"wetransfer", "wetransfer"}, {"décathlon", "decathlon"}, {"decathlon", "decathlon"}, {"hmrc", "gov"}, {"edf", "edf"},
}

// brandOf is what the domain of the firm has in it that a name claims to be. A name of
// many words is about the firm, and does not claim to be it.
func brandOf(name string) string {
	name = strings.ToLower(name)
	if len(strings.Fields(name)) > 4 {
		return ""
	}
	for _, b := range brands {
		at := strings.Index(name, b.name)
		if at >= 0 && !letterAt(name, at-1) && !letterAt(name, at+len(b.name)) && !isPerson(b.name, name) {
			return b.domain
		}
	}
	return ""
}

// isPerson tells a person whose first name is that of a firm: "Ameli Schmidt".
func isPerson(brand, name string) bool {
	_, family, more := strings.Cut(name, " ")
	return brand == "ameli" && more && strings.HasPrefix(name, "ameli ") && !strings.Contains(family, " ") && family != "france" && family != "santé"
}

func letterAt(s string, i int) bool {
	return i >= 0 && i < len(s) && (s[i] >= 0x80 || 'a' <= s[i] && s[i] <= 'z' || '0' <= s[i] && s[i] <= '9')
}

// isFreemail tells domains at which anybody has a mailbox in a minute.
func isFreemail(domain string) bool {
	switch domain {
	case "gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "outlook.fr", "hotmail.fr", "live.fr", "hotmail.co.uk", "yahoo.com", "yahoo.fr", "yahoo.co.uk",
		"yahoo.de", "ymail.com", "rocketmail.com", "aol.com", "icloud.com", "me.com", "mail.com", "email.com", "gmx.com", "gmx.de", "gmx.net", "gmx.fr", "web.de", "yandex.com", "yandex.ru", "mail.ru",
		"inbox.ru", "bk.ru", "list.ru", "proton.me", "protonmail.com", "tutanota.com", "tuta.io", "zoho.com", "qq.com", "163.com", "126.com", "sina.com", "naver.com", "rediffmail.com", "laposte.net",
		"consultant.com", "usa.com", "accountant.com", "engineer.com", "europe.com", "dr.com", "lawyer.com":
		return true
	}
	return false
}

// replies looks at where answers go.
func (v *view) replies(n *notes, domain string) {
	list := message.ParseAddresses(v.Header.Get("Reply-To"))
	if len(list) == 0 || len(list) > 10 || domain == "" || v.Header.Count("List-Id")+v.Header.Count("List-Unsubscribe") > 0 {
		return
	}
	to := canonical(list[0].Host)
	switch {
	case to == "" || registered(to) == registered(domain):
	case v.ours(to) || v.ours(domain): // forms of our own web sites
	case isFreemail(to) && v.proven() && !isFreemail(domain):
		n.add(replyElsewhere, 1, "Answers go to %s, and not to %s.", to, domain)
	case isFreemail(to):
		n.add(replyFreemail, 1, "Answers go to a free mailbox at %s, and not to %s.", to, domain)
	default:
		n.add(replyElsewhere, 1, "Answers go to %s, and not to %s.", to, domain)
	}
}

// looks compares the author's domain with ours, and with those that recipients write to.
func (v *view) looks(n *notes, domain string) {
	if domain == "" || v.ours(domain) {
		return
	}
	if mixedHost(domain) {
		n.add(mixedDomain, 1, "The author's domain %s mixes scripts.", domain)
	}
	for _, own := range v.own {
		switch similar(domain, own) {
		case alike:
			n.add(lookalikeOurs, 1, "The author's domain %s looks like ours, %s, and is not.", domain, own)
			return
		case cousin:
			n.add(cousinOurs, 1, "The author's domain %s has ours, %s, in its name.", domain, own)
			return
		}
	}
	if v.house.Resembles == nil {
		return
	}
	asked := map[string]bool{"": true}
	for _, r := range v.Recipients {
		if !asked[r.Account] && len(asked) <= askedMost && v.house.Resembles(v.ctx, r.Account, domain) {
			n.add(lookalikeKnown, 1, "The author's domain %s looks like one to which the recipient writes, and is not.", domain)
			n.list[len(n.list)-1].Of = r.Account
		}
		asked[r.Account] = true
	}
}

// askedMost is for how many accounts it is asked to whom they write, of one letter.
const askedMost = 20

// mixedHost tells a host in A-labels with a label of mixed scripts.
func mixedHost(domain string) bool {
	if !strings.Contains(domain, "xn--") {
		return false
	}
	for label := range strings.SplitSeq(domain, ".") {
		if u, err := idna.Punycode.ToUnicode(label); err == nil && content.MixedScripts(u) {
			return true
		}
	}
	return false
}
