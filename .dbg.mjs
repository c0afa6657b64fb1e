import { connect, listen } from 'vecino';
process.env.VECINO_RUNTIME_DIR='/tmp/ch/rt';
const mode = process.argv[2];
const l = await listen('d'+process.pid, {codec:'bytes',capacity:4096});
const [a,b] = await Promise.all([l.accept(), connect('d'+process.pid,{codec:'bytes',capacity:4096})]);
const big = process.argv[3]==='big';
const msg = n => new Uint8Array(8 + (big && n%4===3 ? 3000+(n*37)%9000 : (n*13)%300));
const st={};
async function snd(c,k){ for(let n=0;;n++){ await c.send(msg(n)); st[k]=n; } }
async function rcv(c,k){ for(let n=0;;n++){ const m=await c.receive(); if(m.length!==msg(n).length) throw new Error('bad'); st[k]=n; } }
snd(a,'as'); rcv(b,'br'); if(mode==='two'){ snd(b,'bs'); rcv(a,'ar'); }
setTimeout(()=>{console.log(JSON.stringify(st)); setTimeout(()=>{console.log(JSON.stringify(st)); process.exit()},1000)},1000);
