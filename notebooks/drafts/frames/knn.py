"""mel frames led towards those of the reference that say the same"""
import torch
from lib.models.semantic import Semantic, SemanticConfig
sem=Semantic(SemanticConfig()); sem.load_state_dict(torch.load("/root/sem/final.pt",weights_only=False)["ema"]); sem.eval()
def patch_knn(f, share, k, norm=1, smooth=0, bands=0):
    keep={}
    old_look=f.look_at; old=f.decode
    def look(wav):
        mel,_=f.harmonic.analyse(wav); keep["mel"]=mel; keep["code"]=torch.nn.functional.normalize(sem.encode(mel)[0],dim=0); return old_look(wav)
    def decode(x):
        mel,f0=old(x)
        if "mel" in keep and mel.shape[2]>4:
            c=torch.nn.functional.normalize(sem.encode(mel.float())[0],dim=0); s=c.T@keep["code"]; v,i=s.topk(k,1); w=(v/.05).softmax(1)
            near=(keep["mel"][0].T[i]*w[...,None]).sum(1).T[None]
            shift=(mel.logsumexp(1,keepdim=True)-near.logsumexp(1,keepdim=True))  # its level stays
            diff=near+shift*norm-mel
            if smooth: diff=torch.nn.functional.avg_pool1d(diff,smooth,1,smooth//2,count_include_pad=False)
            if bands: diff=torch.nn.functional.avg_pool1d(diff.transpose(1,2),bands,1,bands//2,count_include_pad=False).transpose(1,2)
            mel=mel+share*diff
        return mel,f0
    f.look_at=look; f.decode=decode
