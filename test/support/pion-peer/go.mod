module awl/pion-peer

go 1.19
