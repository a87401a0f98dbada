package letter

import (
	"encoding/base64"
	"net/netip"
	"strings"

	"facteur/internal/mail/content"
	"facteur/internal/mail/message"
)

// manyDomains is how many domains honest letters lead to.
const manyDomains = 20

// maxCompared is how many links are compared with our domains and with their texts.
const maxCompared = 200

// links looks at where a reader can be led.
func (v *view) links(n *notes) {
	from := ""
	if list := message.ParseAddresses(v.Header.Get("From")); len(list) > 0 {
		from = registered(canonical(list[0].Host))
	}
	domains, compared := map[string]bool{}, 0
	for i := range v.content.Links {
		l := &v.content.Links[i]
		if l.Domain != "" && l.Where != content.InImage {
			domains[l.Domain] = true
		}
		if clicked(l) {
			v.link(n, l, from, compared < maxCompared)
			compared++
		}
	}
	if len(domains) > manyDomains {
		n.add(linkMany, v.excuse(), "It leads to %d different domains.", len(domains))
	}
}

// clicked tells links that a person follows.
func clicked(l *content.Link) bool {
	switch l.Where {
	case content.InText, content.InAnchor, content.InForm, content.InRefresh, content.InRedirect, content.InFile:
		return true
	}
	return false
}

func (v *view) link(n *notes, l *content.Link, from string, compare bool) {
	switch {
	case l.Tricks&content.RunsCode != 0 && l.Where != content.InFile:
		n.add(linkCode, 1, "A link runs code: %s.", quote(l.URL))
	case l.Tricks&content.UserInfo != 0 && l.Host != "":
		n.add(linkUserInfo, 1, "A link looks like another by a name before \"@\": it leads to %s.", l.Host)
	case l.Tricks&content.OddAddress != 0:
		n.add(linkOdd, 1, "A link hides the address %s: %s.", l.Host, quote(l.URL))
	case l.Tricks&content.BareAddress != 0:
		if a, err := netip.ParseAddr(l.Host); err == nil && !a.IsPrivate() && !a.IsLoopback() && !a.IsLinkLocalUnicast() {
			n.add(linkAddress, 1, "A link leads to a bare address, %s.", l.Host)
		}
	case l.Tricks&content.EscapedHost != 0:
		n.add(linkEscaped, 1, "A link hides its host %s behind codes.", l.Host)
	case l.Tricks&content.MixedScript != 0:
		n.add(linkMixed, 1, "A link leads to a host that mixes scripts, %s.", l.Host)
	case l.Tricks&content.Shortener != 0:
		n.add(linkShort, v.excuse(), "A link hides where it leads behind %s.", l.Host)
	case searchRedirect(l) && from != l.Domain:
		n.add(linkRedirect, v.excuse(), "A link leads by way of %s to another host.", l.Host)
	}
	if compare {
		v.deceives(n, l, from)
		v.takesAlong(n, l)
	}
}

// takesAlong looks for a recipient's address behind #, plain or in base64. That part of an
// address is not sent to the host: scripts of the page read it, and write it into a form
// that asks for the password. Who sends newsletters puts it where his host sees it.
func (v *view) takesAlong(n *notes, l *content.Link) {
	_, fragment, ok := strings.Cut(l.URL, "#")
	if !ok || l.Domain == "" || v.ours(l.Host) {
		return
	}
	plain := strings.ToLower(strings.ReplaceAll(fragment, "%40", "@"))
	for _, r := range v.Recipients[:min(len(v.Recipients), maxOwn)] {
		if r.Account == "" {
			continue
		}
		if strings.Contains(plain, r.Account) || strings.Contains(fragment, base64.RawStdEncoding.EncodeToString([]byte(r.Account))) {
			n.add(linkRecipient, v.excuse(), "A link to %s takes the recipient's address along behind \"#\".", l.Host)
			return
		}
	}
}

// searchRedirect tells the redirects of search engines that anybody can use.
func searchRedirect(l *content.Link) bool {
	if l.Tricks&content.Redirect == 0 {
		return false
	}
	switch name, _ := split(l.Domain); name {
	case "google", "bing", "yandex", "baidu", "youtube", "facebook", "doubleclick":
		return true
	}
	return false
}

// deceives compares the host that a text shows with the one that it leads to. Newsletters
// count clicks: they show their own host, and lead to that of who sends for them. That
// is the author's word, and worth something where the author is proven.
func (v *view) deceives(n *notes, l *content.Link, from string) {
	if l.Domain != "" && !v.ours(l.Host) {
		for _, own := range v.own {
			if similar(l.Host, own) == alike {
				n.add(linkLookalike, 1, "A link leads to %s, which looks like ours, %s.", l.Host, own)
			}
		}
	}
	if l.Tricks&content.Mismatch == 0 || l.ShownHost == "" {
		return
	}
	if similar(l.Host, l.ShownHost) == alike {
		n.add(linkLookalike, 1, "A link shows %s and leads to %s, which looks like it.", l.ShownHost, l.Host)
		return
	}
	scale := v.excuse()
	if v.proven() && registered(l.ShownHost) == from {
		scale = 0
	}
	if scale > 0 {
		n.add(linkMismatch, scale, "A link shows %s and leads to %s.", l.ShownHost, l.Host)
	}
}
