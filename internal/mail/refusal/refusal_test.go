package refusal

import "testing"

func TestRead(t *testing.T) {
	r, ok := ReadReason("host hotmail-com.olc.protection.outlook.com[104.47.1.33] said: 550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3140). (in reply to MAIL FROM command)")
	if !ok || r.ID != "microsoft-s3140" || !r.Blocked || r.Who != "Microsoft" {
		t.Errorf("%+v %v", r, ok)
	}
}
