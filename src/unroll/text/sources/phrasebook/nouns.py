"""The nouns, adjectives and places of the phrasebook, as tables that a person can read and lengthen.

An underscore stands for a space inside an entry.
"""

# English singular and plural | German singular, gender and plural | classes
# "-" for no plural. "*" after the gender: the weak declension (der Nachbar, den Nachbarn).
# Classes say which verbs and adjectives a noun goes with; "own" lets it follow "my", "his", ...
NOUNS = """
man men                 | Mann m Männer              | person adult
woman women             | Frau f Frauen              | person adult
child children          | Kind n Kinder              | person young own
boy boys                | Junge m* Jungen            | person young
girl girls              | Mädchen n Mädchen          | person young
baby babies             | Baby n Babys               | infant own
mother -                | Mutter f -                 | person adult own kin
father -                | Vater m -                  | person adult own kin
grandmother -           | Großmutter f -             | person adult own kin
grandfather -           | Großvater m -              | person adult own kin
brother brothers        | Bruder m Brüder            | person adult own kin
sister sisters          | Schwester f Schwestern     | person adult own kin
son sons                | Sohn m Söhne               | person adult own kin
daughter daughters      | Tochter f Töchter          | person adult own kin
uncle uncles            | Onkel m Onkel              | person adult own kin
aunt aunts              | Tante f Tanten             | person adult own kin
friend friends          | Freund m Freunde           | person adult own
neighbour neighbours    | Nachbar m* Nachbarn        | person adult own
colleague colleagues    | Kollege m* Kollegen        | person adult own
boss bosses             | Chef m Chefs               | person adult own
guest guests            | Gast m Gäste               | person adult own
teacher teachers        | Lehrer m Lehrer            | person adult own
pupil pupils            | Schüler m Schüler          | person young
student students        | Student m* Studenten       | person adult
doctor doctors          | Arzt m Ärzte               | person adult own
waiter waiters          | Kellner m Kellner          | person adult
police_officer police_officers | Polizist m* Polizisten | person adult
farmer farmers          | Bauer m* Bauern            | person adult
tourist tourists        | Tourist m* Touristen       | person adult
baker bakers            | Bäcker m Bäcker            | person adult
dog dogs                | Hund m Hunde               | animal pet own
cat cats                | Katze f Katzen             | animal pet own
horse horses            | Pferd n Pferde             | animal own
cow cows                | Kuh f Kühe                 | animal own
bird birds              | Vogel m Vögel              | animal
mouse mice              | Maus f Mäuse               | animal
book books              | Buch n Bücher              | text sold small own
newspaper newspapers    | Zeitung f Zeitungen        | text sold own
magazine magazines      | Zeitschrift f Zeitschriften | text sold own
letter letters          | Brief m Briefe             | text written small own
postcard postcards      | Postkarte f Postkarten     | text written sold small own
novel novels            | Roman m Romane             | text written sold
poem poems              | Gedicht n Gedichte         | text written
story stories           | Geschichte f Geschichten   | text written
report reports          | Bericht m Berichte         | text written own
message messages        | Nachricht f Nachrichten    | text written own
apple apples            | Apfel m Äpfel              | food fruit
pear pears              | Birne f Birnen             | food fruit
banana bananas          | Banane f Bananen           | food fruit
orange oranges          | Orange f Orangen           | food fruit
tomato tomatoes         | Tomate f Tomaten           | food fruit
potato potatoes         | Kartoffel f Kartoffeln     | food cooked
egg eggs                | Ei n Eier                  | food cooked
sausage sausages        | Wurst f Würste             | food
soup soups              | Suppe f Suppen             | food cooked dish own
salad salads            | Salat m Salate             | food dish own
pizza pizzas            | Pizza f Pizzas             | food dish baked own
cake cakes              | Kuchen m Kuchen            | food dish baked own
bread -                 | Brot n -                   | food baked
cheese -                | Käse m -                   | food
meat -                  | Fleisch n -                | food cooked
rice -                  | Reis m -                   | food cooked
chocolate -             | Schokolade f -             | food
milk -                  | Milch f -                  | drink hot_drink
water -                 | Wasser n -                 | drink hot_drink
coffee -                | Kaffee m -                 | drink hot_drink own
tea -                   | Tee m -                    | drink hot_drink own
juice -                 | Saft m -                   | drink own
wine -                  | Wein m -                   | drink
beer -                  | Bier n -                   | drink own
time -                  | Zeit f -                   | resource
money -                 | Geld n -                   | resource own
car cars                | Auto n Autos               | vehicle machine lockable own
bicycle bicycles        | Fahrrad n Fahrräder        | vehicle machine lockable own
bus buses               | Bus m Busse                | vehicle transport
train trains            | Zug m Züge                 | transport
ship ships              | Schiff n Schiffe           | vehicle transport
boat boats              | Boot n Boote               | vehicle built own
coat coats              | Mantel m Mäntel            | clothes own
jacket jackets          | Jacke f Jacken             | clothes own
shirt shirts            | Hemd n Hemden              | clothes own
dress dresses           | Kleid n Kleider            | clothes own
skirt skirts            | Rock m Röcke               | clothes own
pullover pullovers      | Pullover m Pullover        | clothes own
hat hats                | Hut m Hüte                 | clothes small own
table tables            | Tisch m Tische             | furniture own
chair chairs            | Stuhl m Stühle             | furniture own
bed beds                | Bett n Betten              | furniture own
lamp lamps              | Lampe f Lampen             | furniture device own
radio radios            | Radio n Radios             | machine device own
television televisions  | Fernseher m Fernseher      | machine device own
computer computers      | Computer m Computer        | machine device own
phone phones            | Telefon n Telefone         | machine own
clock clocks            | Uhr f Uhren                | machine own
guitar guitars          | Gitarre f Gitarren         | thing own
key keys                | Schlüssel m Schlüssel      | small own
ring rings              | Ring m Ringe               | small sold own
ball balls              | Ball m Bälle               | small sold own
umbrella umbrellas      | Regenschirm m Regenschirme | small sold own
photo photos            | Foto n Fotos               | small picture own
picture pictures        | Bild n Bilder              | thing picture own
gift gifts              | Geschenk n Geschenke       | thing package own
flower flowers          | Blume f Blumen             | plant blossom
tree trees              | Baum m Bäume               | plant
bag bags                | Tasche f Taschen           | container own
suitcase suitcases      | Koffer m Koffer            | container package own
box boxes               | Kiste f Kisten             | container package
bottle bottles          | Flasche f Flaschen         | container
glass glasses           | Glas n Gläser              | dishes
cup cups                | Tasse f Tassen             | dishes own
plate plates            | Teller m Teller            | dishes
window windows          | Fenster n Fenster          | opening
door doors              | Tür f Türen                | opening lockable
house houses            | Haus n Häuser              | built building lockable place own
tower towers            | Turm m Türme               | built building
bridge bridges          | Brücke f Brücken           | built building
wall walls              | Mauer f Mauern             | built building
garden gardens          | Garten m Gärten            | nature own
kitchen kitchens        | Küche f Küchen             | place room own
bedroom bedrooms        | Schlafzimmer n Schlafzimmer | place room own
cellar cellars          | Keller m Keller            | place room own
office offices          | Büro n Büros               | place room own
park parks              | Park m Parks               | nature
city cities             | Stadt f Städte             | town sight
village villages        | Dorf n Dörfer              | town
forest forests          | Wald m Wälder              | nature
lake lakes              | See m Seen                 | nature
beach beaches           | Strand m Strände           | nature
market markets          | Markt m Märkte             | place
station stations        | Bahnhof m Bahnhöfe         | place
museum museums          | Museum n Museen            | place sight
church churches         | Kirche f Kirchen           | place sight
theatre theatres        | Theater n Theater          | place
cinema cinemas          | Kino n Kinos               | place
restaurant restaurants  | Restaurant n Restaurants   | place tip
hotel hotels            | Hotel n Hotels             | place tip
library libraries       | Bibliothek f Bibliotheken  | place
hospital hospitals      | Krankenhaus n Krankenhäuser | place
supermarket supermarkets | Supermarkt m Supermärkte  | place
school schools          | Schule f Schulen           | place
question questions      | Frage f Fragen             | topic
answer answers          | Antwort f Antworten        | topic
problem problems        | Problem n Probleme         | topic own
exercise exercises      | Aufgabe f Aufgaben         | topic
word words              | Wort n Wörter              | topic speech
sentence sentences      | Satz m Sätze               | topic speech
rule rules              | Regel f Regeln             | topic
language languages      | Sprache f Sprachen         | tongue
plan plans              | Plan m Pläne               | topic own
exam exams              | Prüfung f Prüfungen        | topic event own
song songs              | Lied n Lieder              | music
film films              | Film m Filme               | show event
concert concerts        | Konzert n Konzerte         | show event
party parties           | Feier f Feiern             | event
course courses          | Kurs m Kurse               | event
journey journeys        | Reise f Reisen             | trip own
company companies       | Firma f Firmen             | firm own
"""

# English | German (and the stem it is inflected from, where that differs) | what it describes: noun classes
# "state": how a person feels, said only after "is".
ADJECTIVES = """
old         | alt            | adult animal text vehicle transport clothes furniture machine building place
                               town thing container opening
young       | jung           | adult animal
tall        | groß           | person
big         | groß           | animal fruit vehicle furniture building place nature town container dish opening
                               firm
small       | klein          | person animal infant fruit vehicle furniture building place nature town
                               small plant opening firm
friendly    | freundlich     | person
polite      | höflich        | person
nice        | nett           | person
clever      | klug           | person
funny       | lustig         | person show music
famous      | berühmt        | adult sight firm
rich        | reich          | adult
strong      | stark          | adult
lazy        | faul           | person pet
dangerous   | gefährlich     | trip
new         | neu            | text vehicle transport clothes furniture machine building place small container
                               topic show music opening
beautiful   | schön          | clothes furniture building place nature town plant picture music trip
modern      | modern         | furniture machine building place transport firm
quiet       | ruhig          | place nature town
dark        | dunkel dunkl   | room
expensive   | teuer teur     | vehicle clothes furniture machine tip dish trip
cheap       | billig         | vehicle clothes furniture machine dish
heavy       | schwer         | furniture container package
broken      | kaputt         | vehicle machine furniture dishes
red         | rot            | vehicle clothes furniture container blossom dishes
blue        | blau           | vehicle clothes furniture container dishes
green       | grün           | vehicle clothes furniture container
white       | weiß           | animal clothes furniture blossom dishes
black       | schwarz        | animal vehicle clothes container
interesting | interessant    | text show topic tongue trip
boring      | langweilig     | text show event
important   | wichtig        | written topic
short       | kurz           | written show trip speech music
long        | lang           | written show trip speech
difficult   | schwierig      | topic tongue
easy        | einfach        | topic tongue
strange     | seltsam        | topic written show
fresh       | frisch         | fruit baked
good        | gut            | food drink text show
delicious   | lecker         | dish fruit
hot         | heiß           | hot_drink cooked
cold        | kalt           | drink cooked
warm        | warm           | clothes hot_drink cooked
dirty       | schmutzig      | clothes dishes vehicle
tired       | müde           | state
ill         | krank          | state
hungry      | hungrig        | state
thirsty     | durstig        | state
happy       | glücklich      | state
sad         | traurig        | state
angry       | wütend         | state
nervous     | nervös         | state
satisfied   | zufrieden      | state
healthy     | gesund         | state
"""

# noun | where: English and German preposition (dative) | whither: both, the German with its case | groups
PLACES = """
garden      | in in           | into in+acc | home outside
kitchen     | in in           | into in+acc | home
bedroom     | in in           | into in+acc | room
cellar      | in in           | into in+acc | room
house       | in in           | into in+acc | room
house       | behind hinter   | -           | outside
school      | in_front_of vor | -           | outside
church      | next_to neben   | -           | outside
tree        | under unter     | -           | outside
office      | in in           | to in+acc   | work
hospital    | in in           | to in+acc   | work
library     | in in           | to in+acc   | work town
park        | in in           | to in+acc   | outside town
forest      | in in           | into in+acc | outside nature
lake        | at an           | to an+acc   | outside nature
lake        | in in           | -           | swim
beach       | on an           | to an+acc   | outside nature
village     | in in           | to in+acc   | settle
city        | in in           | to in+acc   | town settle
market      | at auf          | to auf+acc  | shop town
supermarket | at in           | to in+acc   | shop town
station     | at an           | to zu+dat   | town stop
museum      | in in           | to in+acc   | town
church      | in in           | to in+acc   | town
theatre     | at in           | to in+acc   | stage town
cinema      | at in           | to in+acc   | stage town
restaurant  | in in           | to in+acc   | inn town
hotel       | in in           | to in+acc   | inn town
"""

# where: English and German | whither: English and German | groups
FIXED_PLACES = """
at_home zu_Hause         | home nach_Hause           | home abode
at_school in_der_Schule  | to_school in_die_Schule   | work school
in_Berlin in_Berlin      | to_Berlin nach_Berlin     | travel
in_Hamburg in_Hamburg    | to_Hamburg nach_Hamburg   | travel
in_Munich in_München     | to_Munich nach_München    | travel
in_Vienna in_Wien        | to_Vienna nach_Wien       | travel
in_Italy in_Italien      | to_Italy nach_Italien     | travel
in_France in_Frankreich  | to_France nach_Frankreich | travel
in_Austria in_Österreich | to_Austria nach_Österreich | travel
"""
