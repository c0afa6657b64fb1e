import { SharedMemory } from 'vecino';
import { fork } from 'node:child_process';
const { RingProducer } = await import('/tmp/wt/channel/dist/channel/ring/producer.js');
const { RingConsumer } = await import('/tmp/wt/channel/dist/channel/ring/consumer.js');
const CAP=1<<16, SIZE=4096+2*CAP;
const role=process.argv[2];
const name='vecino-bench-ring-x';
if(!role){ SharedMemory.unlink(name); const m=SharedMemory.create(name,SIZE);
 const {spawn}=await import('node:child_process');
 const a=spawn('taskset',['-c','0',process.execPath,process.argv[1],'A'],{stdio:'inherit'}); const b=spawn('taskset',['-c','1',process.execPath,process.argv[1],'B'],{stdio:'inherit'});
 a.on('exit',()=>{b.kill();SharedMemory.unlink(name);}); }
else { const m=SharedMemory.open(name); const buf=m.buffer;
 const out=new RingProducer(buf, role=='A'?512:1024, 4096+(role=='A'?0:CAP), CAP);
 const inn=new RingConsumer(buf, role=='A'?1024:512, 4096+(role=='A'?CAP:0), CAP);
 const msg=new Uint8Array(64).fill(1);
 const N=3e6;
 let sum=0; const bytes=inn.bytes;const w=new Int32Array(buf);
 function drainAll(limit){ let n=0; while(n<limit){ const o=inn.next(); if(o<0)break; sum=sum^w[o>>2]; if(inn.release()) inn.publish(); n++;  } inn.publish(); return n; }
 function recv(){ let o; while((o=inn.next())<0); for(let k=0;k<16;k++) sum=sum^w[(o>>2)+k]; if(inn.release()) inn.publish(); }
 if(role=='A'){
  for(let r=0;r<5;r++){
  let t=process.hrtime.bigint();
  for(let i=0;i<300000;i++){ while(!out.write(msg,0)); recv(); }
  console.log('rtt ns', Number(process.hrtime.bigint()-t)/300000);
  t=process.hrtime.bigint();
  for(let i=0;i<N;i++){ while(!out.write(msg,0)); }
  recv();
  const dt=Number(process.hrtime.bigint()-t); console.log('oneway M/s', N/dt*1e3);
  }
 } else { for(;;){ for(let i=0;i<300000;i++){ recv(); while(!out.write(msg,0)); }
  let n=0; while(n<N) n+=drainAll(1e9); while(!out.write(msg,0)); } }
}
