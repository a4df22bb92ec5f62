"""The verbs of the phrasebook, as a table that a person can read and lengthen. Two lines are one verb."""

# English: base, past, -ing form, particle after "+"
# | German: infinitive ("an.rufen": the prefix separates), third person, participle ("ist": perfect with sein)
#   | who does it: noun classes
#   | object: [German preposition+]case[:English preposition], and to whom: "give" (give the child a book)
#     or "to" (explain the rule to the child); "?" after what may be missing
#   | what the object may be: noun classes and English nouns
#   | where ("at") or whither ("to"): groups of places and English nouns; "!" where it must be said
#   | flags: s state (no -ing form, no time, of the modal verbs only "will")
#            i involuntary (no -ing form, of the modal verbs only "will")
#            c perception (no -ing form, of the modal verbs only "can" and "will")
#            o done once (no "every day", no "often")
#            of the object: d definite, b definite or bare (the dog, dogs), n indefinite
VERBS = """
read read reading | lesen liest gelesen
  | person | acc? | text | at home outside library
write wrote writing | schreiben schreibt geschrieben
  | person | acc give? | written book | at home
write wrote writing | schreiben schreibt geschrieben
  | person | dat:to | adult
buy bought buying | kaufen kauft gekauft
  | person | acc give? | food drink clothes furniture machine vehicle dishes animal flower sold | at shop | o
sell sold selling | verkaufen verkauft verkauft
  | adult | acc to? | vehicle furniture machine clothes house horse cow picture apple potato flower | at market | o
eat ate eating | essen isst gegessen
  | person | acc? | food | at home inn
drink drank drinking | trinken trinkt getrunken
  | person | acc | drink | at home inn
cook cooked cooking | kochen kocht gekocht
  | adult | acc give? | cooked | at kitchen
bake baked baking | backen backt gebacken
  | adult | acc give? | baked | at kitchen
taste tasted tasting | probieren probiert probiert
  | person | acc | dish food drink
order ordered ordering | bestellen bestellt bestellt
  | person | acc | dish drink | at inn
pay paid paying | bezahlen bezahlt bezahlt
  | adult | acc:for | dish drink book hotel journey ring
wash washed washing | waschen wäscht gewaschen
  | person | acc | clothes car fruit dog infant
clean cleaned cleaning | putzen putzt geputzt
  | person | acc | window kitchen bedroom bicycle office table
repair repaired repairing | reparieren repariert repariert
  | adult | acc | vehicle machine furniture door wall bridge tower | - | o
build built building | bauen baut gebaut
  | adult | acc | built | - | o
paint painted painting | malen malt gemalt
  | person | acc? | picture horse house flower tree bird bridge | at home outside
open opened opening | öffnen öffnet geöffnet
  | person | acc | opening bag suitcase box bottle letter umbrella
close closed closing | zu.machen macht zugemacht
  | person | acc | opening bag suitcase box bottle book umbrella
lock locked locking | ab.schließen schließt abgeschlossen
  | person | acc | lockable
carry carried carrying | tragen trägt getragen
  | person | acc | container furniture infant gift
wear wore wearing | tragen trägt getragen
  | person | acc | coat jacket shirt pullover hat ring
put put putting +on | an.ziehen zieht angezogen
  | person | acc | coat jacket shirt pullover
take took taking +off | aus.ziehen zieht ausgezogen
  | person | acc | coat jacket shirt pullover
lose lost losing | verlieren verliert verloren
  | person | acc | small bag hat money suitcase | - | io
find found finding | finden findet gefunden
  | person | acc | small bag hat money suitcase cat | - | co
look looked looking | suchen sucht gesucht
  | person | acc:for | small bag hat phone glass dog cat infant
need needed needing | brauchen braucht gebraucht
  | person | acc | resource small furniture machine vehicle dishes coat jacket doctor friend | - | s
have had having | haben hat gehabt
  | person | acc | resource vehicle pet horse brother sister son daughter house garden computer | - | sn
use used using | benutzen benutzt benutzt
  | person | acc | machine dishes umbrella key
hide hid hiding | verstecken versteckt versteckt
  | person | acc | small gift money bag bottle | - | o
steal stole stealing | stehlen stiehlt gestohlen
  | adult | acc | car bicycle ring money bag picture horse | - | io
forget forgot forgetting | vergessen vergisst vergessen
  | person | acc | small bag hat question answer word rule | - | io
learn learned learning | lernen lernt gelernt
  | person | acc | word language rule song poem | at home school
translate translated translating | übersetzen übersetzt übersetzt
  | person | acc | written sentence word book song
correct corrected correcting | korrigieren korrigiert korrigiert
  | adult | acc | exercise sentence answer report exam
describe described describing | beschreiben beschreibt beschrieben
  | person | acc to? | problem plan picture city house tower film
print printed printing | aus.drucken druckt ausgedruckt
  | person | acc | report letter photo picture poem plan exercise | at office library
sing sang singing | singen singt gesungen
  | person | acc? | music | at home outside church stage
understand understood understanding | verstehen versteht verstanden
  | person | acc | topic language poem film teacher doctor child | - | sd
know knew knowing | kennen kennt gekannt
  | person | acc | person music film novel story city village museum restaurant rule | - | sd
see saw seeing | sehen sieht gesehen
  | person | acc | person animal vehicle transport film sight tower bridge | at outside town | c
hear heard hearing | hören hört gehört
  | person | acc | music concert dog bird infant train story | - | c
love loved loving | lieben liebt geliebt
  | person | acc | person animal infant | - | sd
like liked liking | mögen mag gemocht
  | person | acc | person animal food drink written music show city | - | sb
meet met meeting | treffen trifft getroffen
  | person | acc | adult | at town outside
visit visited visiting | besuchen besucht besucht
  | person | acc | adult sight village concert
ask asked asking | fragen fragt gefragt
  | person | acc | person
greet greeted greeting | grüßen grüßt gegrüßt
  | person | acc | person
wake woke waking | wecken weckt geweckt
  | adult | acc | person infant
invite invited inviting | ein.laden lädt eingeladen
  | person | acc | adult child girl boy
call called calling | an.rufen ruft angerufen
  | person | acc | adult hotel police_officer company
pick picked picking +up | ab.holen holt abgeholt
  | adult | acc | person gift suitcase letter car | at station school
bring brought bringing +along | mit.bringen bringt mitgebracht
  | person | acc | food drink flower gift friend dog guitar
throw threw throwing +away | weg.werfen wirft weggeworfen
  | person | acc | letter newspaper magazine bottle shirt box flower apple | - | o
tidy tidied tidying +up | auf.räumen räumt aufgeräumt
  | person | acc | room kitchen
turn turned turning +on | an.machen macht angemacht
  | person | acc | device
turn turned turning +off | aus.machen macht ausgemacht
  | person | acc | device
unpack unpacked unpacking | aus.packen packt ausgepackt
  | person | acc | package bag
choose chose choosing | aus.suchen sucht ausgesucht
  | person | acc | clothes gift book ring furniture film dog | - | o
prepare prepared preparing | vor.bereiten bereitet vorbereitet
  | adult | acc | party journey exam salad course concert
look looked looking | an.sehen sieht angesehen
  | person | acc:at | picture museum house tower film car flower clothes
take took taking | bringen bringt gebracht
  | adult | acc | child boy girl son daughter guest grandmother tourist | to! work station hotel abode
watch watched watching | beobachten beobachtet beobachtet
  | person | acc | bird animal child infant neighbour tourist ship | at outside
feed fed feeding | füttern füttert gefüttert
  | person | acc | animal infant
catch caught catching | fangen fängt gefangen
  | person | acc | ball mouse bird horse | - | o
hug hugged hugging | umarmen umarmt umarmt
  | person | acc | person infant
help helped helping | helfen hilft geholfen
  | person | dat | person | at home work
thank thanked thanking | danken dankt gedankt
  | person | dat | adult
answer answered answering | antworten antwortet geantwortet
  | person | dat | person
follow followed following | folgen folgt ist gefolgt
  | person | dat | person car bus
trust trusted trusting | vertrauen vertraut vertraut
  | person | dat | adult | - | sd
congratulate congratulated congratulating | gratulieren gratuliert gratuliert
  | person | dat | person | - | o
forgive forgave forgiving | verzeihen verzeiht verziehen
  | person | dat | person | - | o
listen listened listening | zu.hören hört zugehört
  | person | dat:to | person
belong belonged belonging | gehören gehört gehört
  | vehicle furniture clothes machine | dat:to | adult child company | - | sd
give gave giving | geben gibt gegeben
  | person | acc give | small gift money flower food picture bag | - | o
show showed showing | zeigen zeigt gezeigt
  | person | acc give | text picture photo city house garden museum ring | at home
send sent sending | schicken schickt geschickt
  | person | acc give | letter postcard message report gift money book flower
bring brought bringing | bringen bringt gebracht
  | person | acc give | drink newspaper flower chair soup cake umbrella
lend lent lending | leihen leiht geliehen
  | person | acc give | book money car bicycle boat umbrella guitar computer | - | o
offer offered offering | an.bieten bietet angeboten
  | person | acc give | drink cake soup chair apple bed
tell told telling | erzählen erzählt erzählt
  | person | acc give | story
teach taught teaching | bei.bringen bringt beigebracht
  | adult | acc give | song word language poem rule
promise promised promising | versprechen verspricht versprochen
  | adult | acc give | gift dog bicycle horse cake computer ring | - | o
explain explained explaining | erklären erklärt erklärt
  | person | acc to? | topic poem | at school
recommend recommended recommending | empfehlen empfiehlt empfohlen
  | person | acc to | book novel film tip wine doctor dish course
introduce introduced introducing | vor.stellen stellt vorgestellt
  | adult | acc to | brother sister son daughter friend colleague | - | od
give gave giving +back | zurück.geben gibt zurückgegeben
  | person | acc to | book key umbrella ring bag money bicycle | - | o
read read reading | vor.lesen liest vorgelesen
  | adult | acc to | story letter poem book message
wait waited waiting | warten wartet gewartet
  | person | auf+acc:for? | person transport bus letter answer message | at station outside
think thought thinking | denken denkt gedacht
  | person | an+acc:of | person journey exam party problem | - | c
talk talked talking | sprechen spricht gesprochen
  | person | mit+dat:to | person | at home work outside
talk talked talking | sprechen spricht gesprochen
  | person | über+acc:about | text film problem plan exam journey party
laugh laughed laughing | lachen lacht gelacht
  | person | über+acc:about? | story film picture message question answer
play played playing | spielen spielt gespielt
  | person | mit+dat:with? | ball pet young infant | at home outside
dance danced dancing | tanzen tanzt getanzt
  | person | mit+dat:with? | adult girl boy | at stage hotel park
dream dreamed dreaming | träumen träumt geträumt
  | person | von+dat:of? | journey house lake car horse dress
work worked working | arbeiten arbeitet gearbeitet
  | adult | für+acc:for? | company boss farmer hotel | at work settle travel
live lived living | wohnen wohnt gewohnt
  | person | bei+dat:with | aunt uncle grandmother grandfather brother sister friend | - | s
live lived living | wohnen wohnt gewohnt
  | person | - | - | at! settle travel hotel house | s
ask asked asking | fragen fragt gefragt
  | person | nach+dat:about | plan exam course journey key dog
look looked looking | auf.passen passt aufgepasst
  | person | auf+acc:after | young infant pet suitcase house
take took taking +part | teil.nehmen nimmt teilgenommen
  | person | an+dat:in | course exam journey concert party
go went going | gehen geht ist gegangen
  | person | - | - | to! work town home outside
come came coming | kommen kommt ist gekommen
  | person | - | - | to town settle abode
drive drove driving | fahren fährt ist gefahren
  | adult | - | - | to! travel settle station nature abode
travel travelled travelling | reisen reist ist gereist
  | person | - | - | to! travel
fly flew flying | fliegen fliegt ist geflogen
  | person | - | - | to! travel
run ran running | laufen läuft ist gelaufen
  | being | - | - | to outside station abode
hike hiked hiking | wandern wandert ist gewandert
  | person | - | - | at nature travel
swim swam swimming | schwimmen schwimmt ist geschwommen
  | being | - | - | at swim
move moved moving | um.ziehen zieht ist umgezogen
  | adult | - | - | to! travel | o
come came coming +back | zurück.kommen kommt ist zurückgekommen
  | person | - | - | to travel abode settle
arrive arrived arriving | an.kommen kommt ist angekommen
  | person transport | - | - | at travel station hotel
get got getting +up | auf.stehen steht ist aufgestanden
  | person | -
wake woke waking +up | auf.wachen wacht ist aufgewacht
  | being | - | - | - | i
fall fell falling +asleep | ein.schlafen schläft ist eingeschlafen
  | being | - | - | at room home
get got getting +off | aus.steigen steigt ist ausgestiegen
  | person | - | - | at! station travel
go went going +out | aus.gehen geht ist ausgegangen
  | person | -
go went going +shopping | ein.kaufen kauft eingekauft
  | person | - | - | at shop city
watch watched watching +television | fern.sehen sieht ferngesehen
  | person | - | - | at home
stay stayed staying | bleiben bleibt ist geblieben
  | person | - | - | at! home inn hospital travel
sit sat sitting | sitzen sitzt gesessen
  | person pet bird | - | - | at! home outside inn library
stand stood standing | stehen steht gestanden
  | person | - | - | at! outside stop kitchen
sleep slept sleeping | schlafen schläft geschlafen
  | being infant | - | - | at room home outside
cry cried crying | weinen weint geweint
  | person infant | - | - | at room home
smoke smoked smoking | rauchen raucht geraucht
  | adult | - | - | at outside kitchen
study studied studying | studieren studiert studiert
  | student brother sister son daughter friend | - | - | at travel | s
bark barked barking | bellen bellt gebellt
  | dog | - | - | at outside
leave left leaving | ab.fahren fährt ist abgefahren
  | transport bus | -
begin began beginning | an.fangen fängt angefangen
  | event | - | - | - | o
end ended ending | enden endet geendet
  | event | - | - | - | o
rain rained raining | regnen regnet geregnet
  | it | - | - | at travel
snow snowed snowing | schneien schneit geschneit
  | it | - | - | at travel
"""
