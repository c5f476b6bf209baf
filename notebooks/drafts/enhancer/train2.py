"""python train2.py END(HH:MM) NAME [--steps n]: trains; state every 3 minutes; resumes."""
import sys,os,time,json,copy,datetime,argparse; sys.path[:0]=['/work/main','/tmp/enh']
import numpy as np, torch
torch.set_num_threads(1)
a=argparse.ArgumentParser(); a.add_argument('end'); a.add_argument('name'); a.add_argument('--steps',type=int,default=10**9)
a.add_argument('--opt',default='adamw'); a.add_argument('--lr',type=float,default=3e-3); a.add_argument('--B',type=int,default=8)
a.add_argument('--compile',action='store_true'); a.add_argument('--H',type=int,default=128)
A=a.parse_args()
os.environ['VOICE_ATLAS_CORPUS']='/work/shared/corpus'
from lib import losses
from lib.data import corpus, noisy
from lib.models.enhancer import *
import cachepool, fast; fast.patch(True)
hh,mm=map(int,A.end.split(':')); now=datetime.datetime.now(); END=now.replace(hour=hh,minute=mm,second=0).timestamp()
cachepool.noisy=noisy
pool=cachepool.load(); print(len(pool.pieces),flush=True)
rec=noisy.recorded(r for r in corpus.noise_rows() if not noisy.held_out(r))
rng=np.random.default_rng(1)
made=[m(rng,8*16000) for _ in range(40) for m in (noisy.coloured,noisy.hum,noisy.clicks)]
noises=rec+rec+made
print(len(rec),'recordings',len(noises),flush=True)
draws=noisy.Noisy(pool,noises,B=A.B,seconds=2.5)
torch.manual_seed(0); net=Enhancer(EnhancerConfig(H=A.H)); avg=copy.deepcopy(net)
def make():
    ps=list(net.named_parameters())
    if A.opt=='adamw': return [torch.optim.AdamW(net.parameters(),A.lr,betas=(.9,.98),weight_decay=1e-3)]
    hid=[p for n,p in ps if p.ndim==2 and ('.up.' in n or '.down.' in n or n.startswith('inputs') or n.startswith('out'))]
    ids={id(p) for p in hid}
    return [torch.optim.Muon(hid,lr=A.lr*5,momentum=.95,weight_decay=1e-3,ns_steps=4,adjust_lr_fn=None),torch.optim.AdamW([p for _,p in ps if id(p) not in ids],A.lr,betas=(.9,.98),weight_decay=1e-3)]
opts=make()
for o in opts:
    for g in o.param_groups: g['base']=g['lr']
path=f'/tmp/enh/{A.name}.pt'; start=0; spent=0.
if os.path.exists(path):
    st=torch.load(path,weights_only=False); net.load_state_dict(st['net']); avg.load_state_dict(st['avg']); start=st['i']; spent=st['spent']
    for o,s in zip(opts,st['opts']): o.load_state_dict(s)
    print('resumed',start,flush=True)
masks=torch.compile(net.masks) if A.compile else None
if masks: net.masks=masks
begun=time.time(); cpu0=time.process_time(); last=time.time(); log=[]; total=END-begun+spent
def share(i):
    if A.steps<10**9: return i/A.steps
    return min(1,(time.time()-begun+spent)/total)
def save(i):
    torch.save({'avg':avg.state_dict(),'net':net.state_dict(),'i':i,'spent':spent+time.time()-begun,'opts':[o.state_dict() for o in opts]},path+'.tmp'); os.replace(path+'.tmp',path)
i=start
while time.time()<END and i<A.steps:
    s=share(i); r=min(1,(i+1)/100)*(0.01+0.99*0.5*(1+np.cos(np.pi*s)))
    for o in opts:
        for g in o.param_groups: g['lr']=g['base']*r
    b=draws.draw(np.random.default_rng([2,i]))
    with torch.autocast('cpu',torch.bfloat16): est=net(b['noisy'],b['spk_emb'],b['told'])
    each=losses.negative_sdr(est,b['speech']); loss=each.mean()
    for o in opts: o.zero_grad()
    loss.backward(); norm=torch.nn.utils.clip_grad_norm_(net.parameters(),5.0)
    if torch.isfinite(norm):
        for o in opts: o.step()
    else: print('skipped',i)
    i+=1; d=min(.999,(i)/(i+10))
    with torch.no_grad(): torch._foreach_lerp_(list(avg.parameters()),list(net.parameters()),1-d)
    base=losses.negative_sdr(b['noisy'],b['speech'])
    g=(base-each).detach().flatten(); t=b['told']>0
    log.append((float(g[~t].mean()) if (~t).any() else np.nan,float(g[t].mean()) if t.any() else np.nan))
    if i%100==0: print(i,f'{time.time()-begun:.0f} s cpu {time.process_time()-cpu0:.0f}','gain any/told',np.nanmean(log[-100:],0).round(2),f'lr {r:.2f}',flush=True)
    if time.time()-last>180: save(i); last=time.time()
save(i); print('done',i,flush=True)
