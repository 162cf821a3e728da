// The WebRTC half of a Meepo node of the tests, on pion, which the real one is built on. Commands come as JSON on stdin,
// events leave as lines of JSON on stdout. Like the real one: detached channels, 32 KiB at a time, no backpressure, and
// either end closes both. Arguments: the one address to gather on, where all are not wanted.
package main

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"sync"

	"github.com/pion/webrtc/v3"
)

type message struct {
	Do     string `json:"do"`
	SDP    string `json:"sdp,omitempty"`
	Label  string `json:"label,omitempty"`
	Data   []byte `json:"data,omitempty"`
	At     string `json:"at,omitempty"`
	Socket int    `json:"socket,omitempty"`
	Error  string `json:"error,omitempty"`
}

type peer struct {
	pc      *webrtc.PeerConnection
	mu      sync.Mutex
	dialled map[string]net.Conn // sinks, until the far side opens their channel
	waiting map[int]net.Conn    // sources, until the far side has dialled
	sockets int
	sys     io.ReadWriteCloser
	early   [][]byte // for sys, until it is open
	making  bool
}

var mouth sync.Mutex

func tell(m message) {
	text, _ := json.Marshal(m)
	mouth.Lock()
	defer mouth.Unlock()
	os.Stdout.Write(append(text, '\n'))
}

func failed(m message, err error) {
	m.Error = err.Error()
	tell(m)
}

func splice(conn net.Conn, channel io.ReadWriteCloser) {
	copyAll := func(to io.Writer, from io.Reader) {
		// The bare interfaces, so that no short cut takes other sizes.
		io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, 32*1024))
		conn.Close()
		channel.Close()
	}
	go copyAll(channel, conn)
	copyAll(conn, channel)
}

func (p *peer) bind(channel io.ReadWriteCloser) {
	p.mu.Lock()
	p.sys = channel
	for _, data := range p.early {
		channel.Write(data)
	}
	p.early = nil
	p.mu.Unlock()
	for buffer := make([]byte, 65535); ; {
		n, err := channel.Read(buffer)
		if err != nil {
			return
		}
		tell(message{Do: "sys", Data: append([]byte(nil), buffer[:n]...)})
	}
}

// opened detaches a channel once it is open, and hands it on.
func opened(channel *webrtc.DataChannel, use func(io.ReadWriteCloser)) {
	channel.OnOpen(func() {
		if raw, err := channel.Detach(); err == nil {
			use(raw)
		}
	})
}

func (p *peer) arrived(channel *webrtc.DataChannel) {
	label := channel.Label()
	opened(channel, func(raw io.ReadWriteCloser) {
		if label == "sys" {
			p.bind(raw)
			return
		}
		p.mu.Lock()
		conn := p.dialled[label]
		delete(p.dialled, label)
		p.mu.Unlock()
		if conn != nil {
			splice(conn, raw)
		}
	})
}

func (p *peer) describe(make func() (webrtc.SessionDescription, error)) {
	gathered := webrtc.GatheringCompletePromise(p.pc)
	description, err := make()
	if err == nil {
		err = p.pc.SetLocalDescription(description)
	}
	if err != nil {
		failed(message{Do: "description"}, err)
		return
	}
	<-gathered
	tell(message{Do: "description", SDP: p.pc.LocalDescription().SDP})
}

// take returns a connection that waited for its channel.
func (p *peer) take(socket int) net.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	conn := p.waiting[socket]
	delete(p.waiting, socket)
	return conn
}

func (p *peer) listen() {
	ear, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		failed(message{Do: "listening"}, err)
		return
	}
	tell(message{Do: "listening", At: ear.Addr().String()})
	go func() {
		for {
			conn, err := ear.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.sockets++
			socket := p.sockets
			p.waiting[socket] = conn
			p.mu.Unlock()
			tell(message{Do: "accepted", At: ear.Addr().String(), Socket: socket})
		}
	}()
}

func (p *peer) run(m message) {
	switch m.Do {
	case "offer":
		p.pc.CreateDataChannel("_IGNORE_", nil)
		p.describe(func() (webrtc.SessionDescription, error) { return p.pc.CreateOffer(nil) })
	case "answer":
		p.describe(func() (webrtc.SessionDescription, error) {
			offer := webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: m.SDP}
			if err := p.pc.SetRemoteDescription(offer); err != nil {
				return offer, err
			}
			return p.pc.CreateAnswer(nil)
		})
	case "answered":
		answer := webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: m.SDP}
		if err := p.pc.SetRemoteDescription(answer); err != nil {
			failed(message{Do: "state"}, err)
		}
	case "sys":
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.sys != nil {
			p.sys.Write(m.Data)
			return
		}
		p.early = append(p.early, m.Data)
		if !p.making {
			p.making = true
			if channel, err := p.pc.CreateDataChannel("sys", nil); err == nil {
				opened(channel, p.bind)
			}
		}
	case "dial":
		conn, err := net.Dial("tcp", m.At)
		if err != nil {
			failed(message{Do: "dialled", Label: m.Label}, err)
			return
		}
		p.mu.Lock()
		p.dialled[m.Label] = conn
		p.mu.Unlock()
		tell(message{Do: "dialled", Label: m.Label})
	case "listen":
		p.listen()
	case "open":
		conn := p.take(m.Socket)
		channel, err := p.pc.CreateDataChannel(m.Label, nil)
		if conn == nil || err != nil {
			return
		}
		opened(channel, func(raw io.ReadWriteCloser) { splice(conn, raw) })
	case "refuse":
		if conn := p.take(m.Socket); conn != nil {
			conn.Close()
		}
	}
}

func main() {
	settings := webrtc.SettingEngine{}
	settings.DetachDataChannels()
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	if len(os.Args) > 1 {
		settings.SetIncludeLoopbackCandidate(true)
		settings.SetIPFilter(func(ip net.IP) bool { return ip.String() == os.Args[1] })
	}
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(settings)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		panic(err)
	}
	p := &peer{pc: pc, dialled: map[string]net.Conn{}, waiting: map[int]net.Conn{}}
	pc.OnDataChannel(p.arrived)
	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		tell(message{Do: "state", Label: state.String()})
	})
	commands := json.NewDecoder(os.Stdin)
	for {
		var m message
		if commands.Decode(&m) != nil {
			pc.Close()
			return
		}
		p.run(m)
	}
}
