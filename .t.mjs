import { connect, listen } from 'vecino';
process.env.VECINO_RUNTIME_DIR='/tmp/ch/rt';
const l = await listen('x', {codec:'json'});
const [s,c] = await Promise.all([l.accept(), connect('x',{codec:'json'})]);
await c.send({n:1}); console.log(await s.receive());
const p = s.receive(); setTimeout(()=>c.send({big:'x'.repeat(1e6)}),50); console.log((await p).big.length);
try { await connect('x',{codec:'text'}); } catch(e){ console.log(e.message); }
let n=0; for(;;){ if(!c.trySend({n:n})) break; n++; } console.log('filled',n);
const q=c.send({last:1}); console.log(s.tryReceive()); await q; console.log('sent');
c.close(); let k=0,last; for await (const m of s) { k++; last=m; } console.log(k,last);
try { await s.receive(); } catch(e){ console.log(e.message); }
s.close(); l.close();
