// Makes vectors.json: request bodies, and what upstream's own types make of them.
//
// Each line has the request type, the body in base64, and either the body that Go writes after reading it (missing
// maps, lists and shards written as empty ones, which both sides treat alike) or null when Go refuses it.
//
// To repeat: in an empty folder, `go mod init vectors`, `go get github.com/spiffe/spike-sdk-go@v0.19.9`, copy this file
// there, `go run . 500 > vectors.json`. The number says how many random bodies follow the chosen ones.
package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"strings"

	"github.com/spiffe/spike-sdk-go/api/entity/v1/reqres"
)

type vector struct {
	Kind string  `json:"kind"`
	Body []byte  `json:"body"`
	Go   *string `json:"go"`
}

var kinds = []string{"put", "get", "versions", "encrypt", "decrypt", "restore"}

func read(kind string, body []byte) (any, error) {
	switch kind {
	case "put":
		var r reqres.SecretPutRequest
		err := json.Unmarshal(body, &r)
		if r.Values == nil {
			r.Values = map[string]string{}
		}
		return r, err
	case "get":
		var r reqres.SecretGetRequest
		return &r, json.Unmarshal(body, &r)
	case "versions":
		var r reqres.SecretDeleteRequest
		err := json.Unmarshal(body, &r)
		if r.Versions == nil {
			r.Versions = []int{}
		}
		return r, err
	case "encrypt":
		var r reqres.CipherEncryptRequest
		err := json.Unmarshal(body, &r)
		if r.Plaintext == nil {
			r.Plaintext = []byte{}
		}
		r.Algorithm = ""
		return r, err
	case "decrypt":
		var r reqres.CipherDecryptRequest
		err := json.Unmarshal(body, &r)
		if r.Nonce == nil {
			r.Nonce = []byte{}
		}
		if r.Ciphertext == nil {
			r.Ciphertext = []byte{}
		}
		r.Algorithm = ""
		return r, err
	default:
		var r reqres.RestoreRequest
		err := json.Unmarshal(body, &r)
		if r.Shard == nil {
			r.Shard = &[32]byte{}
		}
		return r, err
	}
}

func emit(kind, body string) {
	v := vector{Kind: kind, Body: []byte(body)}
	if r, err := read(kind, v.Body); err == nil {
		out, err := json.Marshal(r)
		if err != nil {
			panic(err)
		}
		text := string(out)
		v.Go = &text
	}
	line, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

// Bodies that show one rule each.
var chosen = map[string][]string{
	"put": {
		`{}`, ` null `, `null`, ``, ` `, `[]`, `"x"`, `1`, `true`, `{} x`, `{}{}`, "\xef\xbb\xbf{}", "{}\n\t\r ", "{}\f", `nul`, `nullx`,
		`{"path":"a","values":{"k":"v"},"other":[{"deep":[1,{}]}]}`,
		`{"PATH":"x","Values":{"a":"b"}}`, `{"path":"x","PATH":"y"}`, `{"PATH":"y","path":"x"}`, "{\"value\u017f\":{\"a\":\"b\"}}",
		"{\"\u212apath\":\"x\"}", `{"p\u0061th":"x"}`, `{"path ":"x"}`, `{"":"x"}`,
		`{"values":{"a":"1","b":"2"},"values":{"b":"3","c":"4"}}`, `{"values":{"a":"1"},"values":null}`,
		`{"values":{"a":"1"},"values":null,"values":{"b":"2"}}`, `{"path":"a","path":null}`, `{"path":null,"values":null}`,
		`{"values":{"a":"1","a":null}}`, `{"values":{"a":null}}`, `{"values":{"a":1}}`, `{"values":{"a":true}}`, `{"values":{"a":[]}}`,
		`{"values":[]}`, `{"values":"x"}`, `{"path":1}`, `{"path":{}}`, `{"path":["x"]}`, `{"path":true}`,
		"{\"path\":\"a\xffb\xe2\x82c\xed\xa0\x80d\xc0\x80\xf4\x90\x80\x80\xe2\x82\"}", "{\"values\":{\"k\xff\":\"\xf0\x9f\x98\"}}",
		`{"path":"\ud83d\ude00 \ud83d x \ude00 \ud83d\u0041 \ud83d\ud83d\ude00"}`, `{"path":"\u0000\b\f\n\r\t\"\\\/"}`, `{"path":"\'"}`,
		`{"path":"\x41"}`, `{"path":"\u12"}`, `{"path":"\u12g4"}`, "{\"path\":\"a\nb\"}", "{\"path\":\"a\x00b\"}", "{\"path\":\"\x7f\"}",
		"{\"path\":\"<>&\u2028\u2029\u2027\u00e2\"}", `{"path":"x`, `{"path":"x\`, `{"path":"x\"`, `{"path"`, `{"path":`, `{"path":"x",}`,
		`{"path":"x" "values":{}}`, `{,}`, `{path:"x"}`, `{'path':"x"}`, `{"path":'x'}`, `{"a":01}`, `{"a":-}`, `{"a":1.}`, `{"a":.5}`,
		`{"a":1e}`, `{"a":1e+}`, `{"a":-0.0e-10}`, `{"a":+1}`, `{"a":NaN}`, `{"a":[1,]}`, `{"a":[,1]}`, `{"a":[1 2]}`, `{"a":tru}`, `{"a":truex}`,
	},
	"get": {
		`{"version":1}`, `{"version":-1}`, `{"version":-0}`, `{"version":1.0}`, `{"version":1e0}`, `{"version":"1"}`, `{"version":null}`,
		`{"version":5,"version":null}`, `{"version":9223372036854775807}`, `{"version":9223372036854775808}`,
		`{"version":-9223372036854775808}`, `{"version":-9223372036854775809}`, `{"version":true}`, `{"version":{}}`, `{"version":[]}`,
		`{"version":00}`, `{"version":123456789012345678901234567890}`, "{\"ver\u017fion\":7}", `{"VERSION":7}`,
	},
	"versions": {
		`{"versions":[]}`, `{"versions":null}`, `{"versions":[0,-3,77]}`, `{"versions":[null,2]}`, `{"versions":[1.5]}`, `{"versions":["1"]}`,
		`{"versions":{}}`, `{"versions":"1"}`, `{"versions":1}`, `{"versions":[1,2,3],"versions":[4]}`, `{"versions":[1],"versions":null}`,
		`{"versions":[[1]]}`, `{"versions":[9223372036854775808]}`,
	},
	"encrypt": {
		`{"plaintext":"aGVsbG8="}`, `{"plaintext":""}`, `{"plaintext":null}`, `{"plaintext":"aGVs\r\nbG8\n=\r\n"}`, `{"plaintext":"aGVsbG8"}`,
		`{"plaintext":"aGVsbG9="}`, `{"plaintext":"-_-_"}`, `{"plaintext":"+\/+\/"}`, `{"plaintext":"\u002b/+/"}`, `{"plaintext":"aGVsbG8=="}`,
		`{"plaintext":"===="}`, `{"plaintext":"="}`, `{"plaintext":"aG=="}`, `{"plaintext":"a==="}`, `{"plaintext":"aGVs bG8="}`,
		`{"plaintext":"aG==aG=="}`, `{"plaintext":"\r\n"}`, `{"plaintext":"AA=A"}`, `{"plaintext":[104,105]}`, `{"plaintext":[]}`,
		`{"plaintext":[null,255]}`, `{"plaintext":[256]}`, `{"plaintext":[-1]}`, `{"plaintext":[-0]}`, `{"plaintext":[1.0]}`, `{"plaintext":["1"]}`, `{"plaintext":{}}`,
		`{"plaintext":1}`, `{"plaintext":true}`, `{"plaintext":"aGk=","algorithm":"any"}`, "{\"plaintext\":\"aGk=\xff\"}",
	},
	"decrypt": {
		`{"version":1,"nonce":"WyDlwa/g7MhfhHHl","ciphertext":"MC1YpTYT2vQ3i7fVbADBU2cOKTm1"}`, `{"version":255}`, `{"version":256}`,
		`{"version":-1}`, `{"version":-0}`, `{"version":null}`, `{"nonce":[1,2,3],"ciphertext":null}`, `{"nonce":"AAAA","nonce":[9]}`,
	},
	"restore": {
		`{"id":1,"shard":[7]}`, `{"id":1,"shard":[]}`, `{"shard":null}`, `{"shard":"AAAA"}`, `{"shard":[256]}`, `{"shard":[-1]}`, `{"shard":[-0]}`, `{"shard":[1.0]}`,
		`{"shard":["1"]}`, `{"shard":[1,null,3]}`, `{"shard":[null]}`, `{"shard":{}}`, `{"shard":1}`,
		`{"shard":[` + strings.Repeat("1,", 31) + `2]}`, `{"shard":[` + strings.Repeat("1,", 32) + `2]}`,
		`{"shard":[` + strings.Repeat("1,", 32) + `"x",{},999]}`, `{"shard":[1,2],"shard":[3]}`, `{"shard":[1,2],"shard":null}`, `{"id":1.0}`,
	},
}

var names = map[string][]string{
	"put": {"path", "values"}, "get": {"path", "version"}, "versions": {"path", "versions"}, "encrypt": {"plaintext"},
	"decrypt": {"version", "nonce", "ciphertext"}, "restore": {"id", "shard"},
}

var scraps = []string{
	"a", "b/c", "", "\u00e9", "\u2028", "<&>", `\n`, `\u00e9`, `\ud83d\ude00`, `\ud83d`, `\"`, `\\`, "\xff", "\xe2\x82", "k", "=", "AA==",
}

func text(r *rand.Rand) string {
	s := `"`
	for range r.Intn(4) {
		s += scraps[r.Intn(len(scraps))]
	}
	return s + `"`
}

func list(r *rand.Rand) string {
	var s []string
	for range r.Intn(36) {
		s = append(s, strconv.Itoa(r.Intn(258)-r.Intn(2)))
	}
	return "[" + strings.Join(s, ",") + "]"
}

func value(r *rand.Rand, depth int) string {
	switch r.Intn(9 - depth) {
	case 0:
		return text(r)
	case 1:
		return strconv.Itoa(r.Intn(300) - 20)
	case 2:
		return []string{"null", "true", "1.5", "-0", "1E3", "false"}[r.Intn(6)]
	case 3:
		return list(r)
	case 4:
		b, _ := json.Marshal([]byte(text(r)))
		return string(b)
	default:
		s := "{"
		for i := range r.Intn(4) {
			if i > 0 {
				s += ", "
			}
			s += text(r) + " :" + []string{text(r), text(r), value(r, min(depth+1, 4))}[r.Intn(3)]
		}
		return s + "}"
	}
}

// A value of the kind the field wants, most of the time.
func fitting(r *rand.Rand, name string) string {
	if r.Intn(4) == 0 {
		return value(r, 0)
	}
	switch name {
	case "path":
		return text(r)
	case "id", "version":
		return strconv.Itoa(r.Intn(300) - 20)
	case "versions", "shard":
		return list(r)
	case "values":
		s := "{"
		for i := range r.Intn(4) {
			if i > 0 {
				s += ","
			}
			s += text(r) + ":" + text(r)
		}
		return s + "}"
	default:
		b, _ := json.Marshal([]byte(text(r)))
		return string(b)
	}
}

func key(r *rand.Rand, kind string) (string, string) {
	name := names[kind][r.Intn(len(names[kind]))]
	switch r.Intn(8) {
	case 0:
		return name, strings.ToUpper(name)
	case 1:
		return name, strings.ReplaceAll(name, "s", "\u017f")
	case 2:
		return "other", "other"
	default:
		return name, name
	}
}

func random(r *rand.Rand, kind string) string {
	s := "{"
	for i := range r.Intn(5) {
		if i > 0 {
			s += ","
		}
		name, k := key(r, kind)
		s += `"` + k + `": ` + fitting(r, name)
	}
	b := []byte(s + "}")
	// Some are damaged by a byte or two.
	for range max(0, r.Intn(6)-3) {
		at := r.Intn(len(b))
		switch r.Intn(3) {
		case 0:
			b[at] = "\"\\{}[],:0 -.eun\x80\x1f"[r.Intn(17)]
		case 1:
			b = append(b[:at], b[at+1:]...)
		default:
			b = append(b[:at], append([]byte{b[at]}, b[at:]...)...)
		}
		if len(b) == 0 {
			break
		}
	}
	return string(b)
}

func main() {
	count, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	for _, kind := range kinds {
		for _, body := range chosen[kind] {
			emit(kind, body)
		}
	}
	r := rand.New(rand.NewSource(1))
	for range count {
		kind := kinds[r.Intn(len(kinds))]
		emit(kind, random(r, kind))
	}
}
