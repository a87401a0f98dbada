package dnslist

import "slices"

// isCommon tells domains that stand in so many good letters that no list has them: asking
// would cost questions and tell nothing. It speaks neither for nor against a letter.
func isCommon(domain string) bool {
	_, there := slices.BinarySearch(common[:], domain)
	return there
}

// common is in order.
var common = [...]string{
	"adobe.com", "amazon.com", "amazon.de", "amazon.fr", "aol.com", "apple.com", "bing.com", "cloudflare.com", "debian.org",
	"facebook.com", "facebookmail.com", "free.fr", "github.com", "gitlab.com", "gmail.com", "gmx.de", "gmx.net", "google.com", "googleapis.com",
	"googlemail.com", "gstatic.com", "hotmail.com", "icloud.com", "instagram.com", "kernel.org", "laposte.net", "linkedin.com", "live.com",
	"mail.ru", "microsoft.com", "mozilla.org", "msn.com", "netflix.com", "office.com", "office365.com", "orange.fr", "outlook.com",
	"paypal.com", "proton.me", "qq.com", "sfr.fr", "t-online.de", "twitter.com", "ubuntu.com", "w3.org", "wanadoo.fr", "web.de",
	"whatsapp.com", "wikipedia.org", "x.com", "yahoo.com", "yahoo.fr", "yandex.ru", "youtu.be", "youtube.com",
}
